{#- A table: several marts read it, and what it is made of is wide. -#}
{{ config(materialized='table') }}

{%- set smoothing_days = var('smoothing_days') %}

with figures as (
  select
    climate.day,
    part.series,
    part.figure
  from {{ ref('energy_climate_daily') }} as climate
  cross join
    unnest([
      {% for series in relationship_series() %}
        {%- set is_power = series.endswith('_mwh') %}
        struct(
          '{{ series }}' as series,
          {{ 'if(climate.electricity_is_complete, climate.' ~ series ~ ', null)' if is_power else 'climate.' ~ series }}
            as figure
        ){{ ',' if not loop.last }}
      {% endfor %}
    ]) as part
  where part.figure is not null
),

-- In millionths, whole numbers: their sums do not depend on the order in which a warehouse adds.
by_day_of_year as (
  select
    series,
    least(extract(dayofyear from day), 365) as day_of_year,
    count(*) as days,
    sum(cast(round(figure * 1000000) as int64)) as total
  from figures
  group by 1, 2
),

smoothed as (
  select
    by_day_of_year.series,
    -- New Year's neighbours are in December.
    mod(by_day_of_year.day_of_year - 1 + shift + 365, 365) + 1 as day_of_year,
    sum(by_day_of_year.days) as days,
    sum(by_day_of_year.total) as total
  from by_day_of_year
  cross join unnest(generate_array(-{{ smoothing_days }}, {{ smoothing_days }})) as shift
  group by 1, 2
)

select
  figures.day,
  figures.series,
  figures.figure,
  if(
    smoothed.days >= {{ var('least_days_of_a_mean') }},
    round(figures.figure - smoothed.total / smoothed.days / 1000000, 6),
    null
  ) as anomaly
from figures
inner join smoothed
  on figures.series = smoothed.series and least(extract(dayofyear from figures.day), 365) = smoothed.day_of_year
