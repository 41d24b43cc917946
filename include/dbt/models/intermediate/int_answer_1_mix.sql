{#- The mix of the last day that was measured to its end, and of the 365 days that end with it. -#}
{{ config(materialized='ephemeral') }}

with names as ({{ source_names() }}),

measured_days as (
  select day
  from {{ ref('energy_mix_daily') }}
  group by day
  having logical_and(is_complete)
),

last_day as (
  select max(day) as day from measured_days
),

mix as (
  select
    mix.source,
    -- In millionths, whole numbers: their sum is the same in every order.
    sum(if(mix.day = last_day.day, cast(round(mix.energy_mwh * 1000000) as int64), 0)) as of_day,
    sum(cast(round(mix.energy_mwh * 1000000) as int64)) as of_year
  from {{ ref('energy_mix_daily') }} as mix
  inner join measured_days on mix.day = measured_days.day
  inner join last_day on mix.day > date_sub(last_day.day, interval 365 day)
  group by mix.source
),

shares as (
  select
    names.*,
    mix.of_day,
    mix.of_year,
    safe_divide(100 * mix.of_day, sum(mix.of_day) over ()) as day_pct,
    safe_divide(100 * mix.of_year, sum(mix.of_year) over ()) as year_pct
  from mix
  inner join names on mix.source = names.source
),

mix_in_words as (
  select
    {% for language in languages() %}
      string_agg(
        concat(name_{{ language }}, ' ', {{ percent_text('day_pct', language) }}), ', '
        order by day_pct desc, source asc
      ) as day_{{ language }},
      string_agg(
        concat(name_{{ language }}, ' ', {{ percent_text('year_pct', language) }}), ', '
        order by year_pct desc, source asc
      ) as year_{{ language }},
    {% endfor %}
    sum(of_day) / 1000000000 as day_gwh,
    sum(of_year) / 1000000000000 as year_twh
  from shares
),

measured_of_year as (
  select
    last_day.day as period_end,
    min(measured_days.day) as period_start,
    count(measured_days.day) as days
  from last_day
  left join measured_days on measured_days.day > date_sub(last_day.day, interval 365 day)
  group by last_day.day
)

select
  1 as question,
  measured.period_start,
  measured.period_end,
  {% for language in languages() %}
    {%- set words = {
      'en': ['On ', ': ', '. Over the 365 days that end then: ', ' produced on the day, ', ' TWh over ',
        ' measured to their end out of 365.'],
      'fr': ['Le ', ' : ', '. Sur les 365 jours qui s’achèvent ce jour : ', ' produits ce jour, ', ' TWh sur ',
        ' mesurés jusqu’au bout sur 365.']
    }[language] %}
    coalesce(
      concat(
        '{{ words[0] }}', {{ day_text('measured.period_end', language) }}, '{{ words[1] }}', mix.day_{{ language }},
        '{{ words[2] }}', mix.year_{{ language }}, '.'
      ),
      '{{ not_enough(language) }}'
    ) as answer_{{ language }},
    concat(
      {{ number_text('mix.day_gwh', 0, language) }}, ' GWh{{ words[3] }}',
      {{ number_text('mix.year_twh', 1, language) }},
      '{{ words[4] }}', {{ days_text('measured.days', language) }}, '{{ words[5] }}'
    ) as figures_{{ language }},
  {% endfor %}
  concat(
    'Shares are of production: exchanges, pumping and batteries stand apart.',
    if(measured.days < 365, ' Days that were not measured to their end are left out.', '')
  ) as caveat_en,
  concat(
    'Les parts sont celles de la production : échanges, pompage et batteries sont à part.',
    if(measured.days < 365, ' Les jours qui ne sont pas mesurés jusqu’au bout sont laissés de côté.', '')
  ) as caveat_fr
from measured_of_year as measured
cross join mix_in_words as mix
