{#- What is exchanged when storages are fuller, raw and beyond the season. -#}
{{ config(materialized='ephemeral') }}

with links as ({{ links_with_finding() }}),

days as ({{ span_of_days('gas_fullness_pct is not null and electricity_is_complete') }}),

exchanges as (
  select
    max(if(y = 'commercial_volume_mwh' and method = 'raw', n, null)) as days,
    {{ links_as_columns({
      'volume_raw': "y = 'commercial_volume_mwh' and method = 'raw'",
      'volume_beyond': "y = 'commercial_volume_mwh' and method = 'deseasonalised'",
      'import_beyond': "y = 'commercial_import_mwh' and method = 'deseasonalised'",
      'export_beyond': "y = 'commercial_export_mwh' and method = 'deseasonalised'"
    }) }}
  from links
  where question = 6
),

thirds as (
  select
    max(if(group_number = 1, volume_mwh, null)) / 1000 as empty_gwh,
    max(if(group_number = 1, fullness_high_pct, null)) as empty_pct,
    max(if(group_number = 3, volume_mwh, null)) / 1000 as full_gwh,
    max(if(group_number = 3, fullness_low_pct, null)) as full_pct
  from {{ ref('exchanges_by_fullness') }}
  where method = 'raw' and group_type = 'tercile' and border = 'all'
)

select
  6 as question,
  days.first_day as period_start,
  days.last_day as period_end,
  concat(
    {{ by_finding('exchanges.volume_beyond',
      'Yes: beyond the season, the fuller the gas storage, the more is exchanged.',
      'No: beyond the season, the fuller the gas storage, the less is exchanged.',
      'No clear link, beyond the season, between how full the gas storage is and how much is exchanged.',
      not_enough('en')) }},
    if(
      exchanges.volume_beyond = 'unknown', '',
      concat(
        ' Imports: ', {{ by_finding('exchanges.import_beyond', 'more', 'less', 'no clear link', 'not enough data') }},
        '; exports: ', {{ by_finding('exchanges.export_beyond', 'more', 'less', 'no clear link', 'not enough data') }},
        '.'
      )
    )
  ) as answer_en,
  concat(
    {{ by_finding('exchanges.volume_beyond',
      'Oui : hors effet de saison, plus les stockages de gaz sont pleins, plus on échange.',
      'Non : hors effet de saison, plus les stockages de gaz sont pleins, moins on échange.',
      'Pas de lien clair, hors effet de saison, entre le remplissage des stockages de gaz et le volume des échanges.',
      not_enough('fr')) }},
    if(
      exchanges.volume_beyond = 'unknown', '',
      concat(
        ' Imports : ',
        {{ by_finding('exchanges.import_beyond', 'plus', 'moins', 'pas de lien clair', 'pas assez de données') }},
        ' ; exports : ',
        {{ by_finding('exchanges.export_beyond', 'plus', 'moins', 'pas de lien clair', 'pas assez de données') }}, '.'
      )
    )
  ) as answer_fr,
  {% for language in languages() %}
    {%- set words = {
      'en': ['Volume: ', ' raw, ', ' beyond the season; imports: ', '; exports: ', '; fullest third of days (from ', '): ',
        ' GWh a day, emptiest (up to ', ' GWh a day; ', '.', '; '],
      'fr': ['Volume : ', ' brut, ', ' hors saison ; imports : ', ' ; exports : ', ' ; tiers des jours le plus plein (dès ',
        ') : ', ' GWh par jour, le plus vide (jusqu’à ', ' GWh par jour ; ', '.', ' ; ']
    }[language] %}
    concat(
      '{{ words[0] }}', {{ correlation_text('exchanges.volume_raw', language) }}, '{{ words[1] }}',
      {{ correlation_text('exchanges.volume_beyond', language) }}, '{{ words[2] }}',
      {{ correlation_text('exchanges.import_beyond', language) }}, '{{ words[3] }}',
      {{ correlation_text('exchanges.export_beyond', language) }},
      coalesce(
        concat(
          '{{ words[4] }}', {{ percent_text('thirds.full_pct', language) }}, '{{ words[5] }}',
          {{ number_text('thirds.full_gwh', 0, language) }}, '{{ words[6] }}',
          {{ percent_text('thirds.empty_pct', language) }}, '{{ words[5] }}',
          {{ number_text('thirds.empty_gwh', 0, language) }},
          '{{ words[7] }}'
        ), '{{ words[9] }}'
      ), {{ days_text('exchanges.days', language) }}, '{{ words[8] }}'
    ) as figures_{{ language }},
  {% endfor %}
  case
    when exchanges.volume_beyond = 'unknown' then {{ too_little_text('exchanges.days', 'en') }}
    when exchanges.volume_raw = 'unknown'
      then 'The raw figures alone cannot tell: too few seasons. Cold and prices move both: a link is not yet a cause.'
    when exchanges.volume_raw != exchanges.volume_beyond
      then 'The raw figures say otherwise: storage is full in autumn, when exchanges have their own season.'
    else 'Cold and prices move both: a link is not yet a cause.'
  end as caveat_en,
  case
    when exchanges.volume_beyond = 'unknown' then {{ too_little_text('exchanges.days', 'fr') }}
    when exchanges.volume_raw = 'unknown'
      then concat(
        'Les chiffres bruts seuls ne tranchent pas : trop peu de saisons. ',
        'Le froid et les prix agissent sur les deux : un lien n’est pas encore une cause.'
      )
    when exchanges.volume_raw != exchanges.volume_beyond
      then concat(
        'Les chiffres bruts disent autre chose : les stockages sont pleins à l’automne, ',
        'et les échanges ont leur saison.'
      )
    else 'Le froid et les prix agissent sur les deux : un lien n’est pas encore une cause.'
  end as caveat_fr
from exchanges
cross join thirds
cross join days
