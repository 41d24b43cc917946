{#- The mix of the last complete day, and of the complete days among the 365 that end with it. -#}
{{ config(materialized='ephemeral') }}

with names as ({{ source_names() }}),

measured_days as (
  select distinct day
  from {{ ref('energy_mix_daily') }}
  where is_complete
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
      'en': ['On ', ': ', '. Over the ', ' complete days from ', ' to ', ' GWh produced on the day', ', ', ' TWh over ',
        ' complete days'],
      'fr': ['Le ', ' : ', '. Sur les ', ' jours complets du ', ' au ', ' GWh produits ce jour', ', ', ' TWh sur ',
        ' jours complets']
    }[language] %}
    coalesce(
      concat(
        '{{ words[0] }}', {{ day_text('measured.period_end', language) }}, '{{ words[1] }}', mix.day_{{ language }},
        if(
          measured.days > 1,
          concat(
            '{{ words[2] }}', {{ number_text('measured.days', 0, language) }}, '{{ words[3] }}',
            {{ day_text('measured.period_start', language) }}, '{{ words[4] }}',
            {{ day_text('measured.period_end', language) }}, '{{ words[1] }}', mix.year_{{ language }}
          ),
          ''
        ),
        '.'
      ),
      '{{ not_enough(language) }}'
    ) as answer_{{ language }},
    concat(
      {{ number_text('mix.day_gwh', 0, language) }}, '{{ words[5] }}',
      if(
        measured.days > 1,
        concat(
          '{{ words[6] }}', {{ number_text('mix.year_twh', 1, language) }}, '{{ words[7] }}',
          {{ number_text('measured.days', 0, language) }}, '{{ words[8] }}'
        ),
        ''
      ),
      '.'
    ) as figures_{{ language }},
  {% endfor %}
  concat(
    'Shares are of production: exchanges, pumping and batteries stand apart.',
    if(
      measured.days <= date_diff(measured.period_end, measured.period_start, day),
      ' Days that are not complete are left out.', ''
    )
  ) as caveat_en,
  concat(
    'Les parts sont celles de la production : échanges, pompage et batteries sont à part.',
    if(
      measured.days <= date_diff(measured.period_end, measured.period_start, day),
      ' Les jours incomplets ne sont pas comptés.', ''
    )
  ) as caveat_fr
from measured_of_year as measured
cross join mix_in_words as mix
