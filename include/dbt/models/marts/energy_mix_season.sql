-- Only meteorological years (December to November) of which all four seasons are there: seasons are then compared over
-- the same years, and a source that grows from year to year is no seasonal effect.
with seasons as (
  select
    period,
    {{ season_name('period_start') }} as season,
    {{ season_year('period_end') }} as year,
    source,
    energy_mwh,
    share_pct,
    completeness_pct
  from {{ ref('energy_mix_period') }}
  where period_type = 'season'
),

complete_years as (
  select year
  from seasons
  group by year
  having count(distinct season) = 4 and min(completeness_pct) >= {{ var('complete_from_pct') }}
)

-- Rounded, because beyond that a mean of floating-point numbers depends on its order.
select
  season,
  source,
  count(*) as years,
  min(year) as first_year,
  max(year) as last_year,
  round(avg(energy_mwh), 3) as energy_mean_mwh,
  round(stddev_samp(energy_mwh), 3) as energy_stddev_mwh,
  min(energy_mwh) as energy_min_mwh,
  max(energy_mwh) as energy_max_mwh,
  round(avg(share_pct), 6) as share_mean_pct,
  round(stddev_samp(share_pct), 6) as share_stddev_pct,
  min(share_pct) as share_min_pct,
  max(share_pct) as share_max_pct
from seasons
where year in (select complete_years.year from complete_years)
group by season, source
