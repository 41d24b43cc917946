{#- A source changes with the seasons where its winters and summers of no two years overlap. -#}
{{ config(materialized='ephemeral') }}

with names as ({{ source_names() }}),

winters_and_summers as (
  select
    names.*,
    winter.years,
    winter.first_year,
    winter.last_year,
    winter.share_mean_pct as winter_pct,
    summer.share_mean_pct as summer_pct,
    winter.share_min_pct > summer.share_max_pct or winter.share_max_pct < summer.share_min_pct as is_apart
  from {{ ref('energy_mix_season') }} as winter
  inner join {{ ref('energy_mix_season') }} as summer on winter.source = summer.source and summer.season = 'summer'
  inner join names on winter.source = names.source
  where winter.season = 'winter'
),

seasons_in_words as (
  select
    {% for language in languages() %}
      {%- set text = {'en': [' in winter, ', ' in summer'], 'fr': [' en hiver, ', ' en été']}[language] %}
      {% for name, condition in {'apart': 'is_apart', 'alike': 'not is_apart'}.items() %}
        string_agg(
          if({{ condition }}, name_{{ language }}, null), ', '
          order by abs(winter_pct - summer_pct) desc, source asc
        ) as {{ name }}_{{ language }},
      {% endfor %}
      string_agg(
        concat(
          name_{{ language }}, ' ', {{ percent_text('winter_pct', language) }}, '{{ text[0] }}',
          {{ percent_text('summer_pct', language) }}, '{{ text[1] }}'
        ), '; '
        order by abs(winter_pct - summer_pct) desc, source asc
      ) as shares_{{ language }},
    {% endfor %}
    coalesce(max(years), 0) as years,
    min(first_year) as first_year,
    max(last_year) as last_year
  from winters_and_summers
)

select
  5 as question,
  date(first_year - 1, 12, 1) as period_start,
  date(last_year, 11, 30) as period_end,
  case
    when years < 2 then '{{ not_enough('en') }}'
    when apart_en is null then 'No: between winter and summer no share differs by more than from one year to another.'
    else concat('Yes: winter and summer shares lie apart, whatever the year, for: ', apart_en, '.')
  end as answer_en,
  coalesce(concat(shares_en, ' (mean of ', years, ' years).'), 'No complete year.') as figures_en,
  case
    when years < 2 then '{{ not_enough('fr') }}'
    when apart_fr is null then 'Non : entre hiver et été, aucune part ne diffère plus que d’une année à l’autre.'
    else concat('Oui : les parts d’hiver et d’été sont distinctes, quelle que soit l’année, pour : ', apart_fr, '.')
  end as answer_fr,
  coalesce(
    concat(replace(shares_fr, ';', ' ;'), ' (moyenne de ', years, ' ans).'), 'Aucune année complète.'
  ) as figures_fr,
  case
    when years < 2 then 'One year cannot tell a season from chance.'
    when alike_en is not null then concat('Not so for: ', alike_en, '.')
    else concat(years, ' years are few for a rule.')
  end as caveat_en,
  case
    when years < 2 then 'Une année ne permet pas de distinguer la saison du hasard.'
    when alike_fr is not null then concat('Ce n’est pas le cas pour : ', alike_fr, '.')
    else concat(years, ' ans sont peu pour une règle.')
  end as caveat_fr
from seasons_in_words
