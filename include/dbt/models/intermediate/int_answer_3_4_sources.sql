{#- The sources against temperature and against gas fullness, in the order of how clear their link is. -#}
{{ config(materialized='ephemeral') }}

with names as ({{ source_names() }}),

links as ({{ links_with_finding() }}),

days_of_temperature as ({{ span_of_days('temperature_mean_c is not null and electricity_is_complete') }}),

days_of_fullness as ({{ span_of_days('gas_fullness_pct is not null and electricity_is_complete') }}),

sources as (
  select
    beyond.question,
    beyond.y,
    raw.n,
    beyond.r,
    beyond.finding,
    raw.finding as raw_finding,
    names.*
  from links as beyond
  inner join links as raw on beyond.question = raw.question and beyond.y = raw.y and raw.method = 'raw'
  inner join names on beyond.y = concat(names.source, '_mwh')
  where beyond.question in (3, 4) and beyond.method = 'deseasonalised'
),

sources_in_words as (
  select
    question,
    {% for language in languages() %}
      {% for finding in ['positive', 'negative', 'none', 'unknown'] %}
        string_agg(
          if(finding = '{{ finding }}', name_{{ language }}, null), ', '
          order by abs(r) desc, source asc
        ) as {{ finding }}_{{ language }},
      {% endfor %}
      string_agg(
        concat(name_{{ language }}, ' ', {{ number_text('r', 2, language) }}), ', '
        order by abs(r) desc, source asc
      ) as r_{{ language }},
    {% endfor %}
    max(n) as days,
    logical_and(finding = 'unknown') as all_unknown,
    countif(finding != raw_finding and 'unknown' not in (finding, raw_finding)) as differing,
    countif(finding != 'unknown' and raw_finding = 'unknown') as raw_unknown
  from sources
  group by question
),

cold as (
  select
    max(if(n >= {{ var('least_days_of_a_season') }}, mw_per_c, null)) as mw,
    max(mw_per_c_low) as mw_low,
    max(mw_per_c_high) as mw_high
  from {{ ref('thermosensitivity') }}
  where y = 'consumption_mwh' and winter = 'all'
)

select
  words.question,
  if(words.question = 3, days_of_temperature.first_day, days_of_fullness.first_day) as period_start,
  if(words.question = 3, days_of_temperature.last_day, days_of_fullness.last_day) as period_end,
  {% for language in languages() %}
    {%- set text = {
      'en': {'warmer': 'the warmer it is', 'fuller': 'the fuller the gas storage is', 'beyond': 'Beyond the season, ',
        'more': ', the higher the production of: ', 'less': ', the lower the production of: ', 'none': 'No clear link: ', 'unknown': 'Not enough data: ',
        'r': 'r beyond the season: ', 'cold': '; consumption in winter: ', 'each': ' MW for each degree colder (',
        'to': ' to ', 'then': '; '},
      'fr': {'warmer': 'plus il fait chaud', 'fuller': 'plus les stockages de gaz sont pleins',
        'beyond': 'Hors effet de saison, ', 'more': ', plus la production est élevée pour : ',
        'less': ', plus la production est faible pour : ', 'none': 'Pas de lien clair : ', 'unknown': 'Pas assez de données : ', 'r': 'r hors saison : ',
        'cold': ' ; consommation en hiver : ', 'each': ' MW par degré de moins (', 'to': ' à ', 'then': ' ; '}
    }[language] %}
    if(
      words.all_unknown,
      '{{ not_enough(language) }}',
      rtrim(concat(
        {% for finding, side in {'positive': 'more', 'negative': 'less'}.items() %}
          coalesce(
            concat(
              '{{ text.beyond }}', if(words.question = 3, '{{ text.warmer }}', '{{ text.fuller }}'), '{{ text[side] }}',
              words.{{ finding }}_{{ language }}, '. '
            ), ''
          ),
        {% endfor %}
        coalesce(concat('{{ text.none }}', words.none_{{ language }}, '. '), ''),
        coalesce(concat('{{ text.unknown }}', words.unknown_{{ language }}, '. '), '')
      ))
    ) as answer_{{ language }},
    concat(
      coalesce(concat('{{ text.r }}', words.r_{{ language }}, '{{ text.then }}'), ''),
      {{ days_text('words.days', language) }},
      if(
        words.question = 3 and cold.mw is not null,
        coalesce(
          concat(
            '{{ text.cold }}', {{ number_text('cold.mw', 0, language) }}, '{{ text.each }}',
            {{ number_text('cold.mw_low', 0, language) }}, '{{ text.to }}',
            {{ number_text('cold.mw_high', 0, language) }}, ')'
          ), ''
        ), ''
      ),
      '.'
    ) as figures_{{ language }},
  {% endfor %}
  case
    when words.all_unknown then {{ too_little_text('words.days', 'en') }}
    when words.differing > 0
      then concat(
        'The raw figures say otherwise for ', words.differing, ' of the 8 sources: ',
        'what follows the seasons goes together anyway.'
      )
    when words.raw_unknown > 0
      then concat(
        'For ', words.raw_unknown, ' of the 8 sources the raw figures alone cannot tell: too few seasons. ',
        'A link is not yet a cause.'
      )
    else 'Raw figures and those beyond the season agree; a link is not yet a cause.'
  end as caveat_en,
  case
    when words.all_unknown then {{ too_little_text('words.days', 'fr') }}
    when words.differing > 0
      then concat(
        'Les chiffres bruts disent autre chose pour ', words.differing,
        ' des 8 filières : ce qui suit les saisons varie ensemble de toute façon.'
      )
    when words.raw_unknown > 0
      then concat(
        'Pour ', words.raw_unknown,
        ' des 8 filières les chiffres bruts seuls ne tranchent pas : trop peu de saisons. ',
        'Un lien n’est pas encore une cause.'
      )
    else 'Chiffres bruts et hors saison concordent ; un lien n’est pas encore une cause.'
  end as caveat_fr
from sources_in_words as words
cross join days_of_temperature
cross join days_of_fullness
cross join cold
