-- A mean over people, not over areas: each region weighs what lives there. A day needs every region.
with regional as (
  select
    regions.region_code,
    regions.population,
    days.day,
    temperature.temperature_mean_c,
    temperature.temperature_min_c,
    temperature.temperature_max_c
  from (select distinct day from {{ ref('stg_odre__temperature') }}) as days
  cross join {{ ref('regions') }} as regions
  left join {{ ref('stg_odre__temperature') }} as temperature
    on days.day = temperature.day and regions.region_code = temperature.region_code
)

select
  day,
  -- Six decimals: beyond them a sum of floating-point numbers depends on its order.
  round(sum(temperature_mean_c * population) / sum(population), 6) as temperature_mean_c,
  if(
    countif(temperature_min_c is null) = 0, round(sum(temperature_min_c * population) / sum(population), 6), null
  ) as temperature_min_c,
  if(
    countif(temperature_max_c is null) = 0, round(sum(temperature_max_c * population) / sum(population), 6), null
  ) as temperature_max_c
from regional
group by day
-- Qualified: BigQuery would take the bare name for the mean above.
having countif(regional.temperature_mean_c is null) = 0
