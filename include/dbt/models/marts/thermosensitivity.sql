{#- Whole numbers of a hundred-thousandth of a degree and of a hundredth of a megawatt: exact sums, in every order. -#}
{%- set loads = ['consumption'] + production_sources() %}

with days as (
  select
    *,
    -- A winter begins in November and has the name of both its years.
    extract(year from date_sub(day, interval 3 month)) as first_year,
    {{ civil_hours('day', 'day') }} as hours
  from {{ ref('energy_climate_daily') }}
  where {{ is_winter('day') }} and electricity_is_complete and heating_degree_days is not null
),

counted as (
  select
    days.day,
    winter,
    part.y,
    cast(round(days.heating_degree_days * 100000) as int64) as degrees,
    cast(round(part.mwh / days.hours * 100) as int64) as power
  from days
  cross join
    unnest([
      {% for name in loads %}
        struct('{{ name }}_mwh' as y, {{ name }}_mwh as mwh){{ ',' if not loop.last }}
      {% endfor %}
    ]) as part
  cross join unnest(['all', concat(days.first_year, '-', days.first_year + 1)]) as winter
  where part.mwh is not null
),

sums as (
  select
    y,
    winter,
    count(*) as n,
    sum(degrees) as sum_x,
    sum(power) as sum_y,
    sum(degrees * degrees) as sum_xx,
    sum(power * power) as sum_yy,
    sum(degrees * power) as sum_xy
  from counted
  group by 1, 2
),

-- Least squares; no slope where every day is as cold as the others, or where two days make any line fit.
fits as (
  select
    y,
    winter,
    n,
    sum_xx - cast(sum_x as float64) * sum_x / n as spread_x,
    if(n >= 3, {{ least_squares('n', 'sum_x', 'sum_y', 'sum_xx', 'sum_xy') }}, null) as slope,
    sum_x / n as mean_x,
    sum_y / n as mean_y,
    if(n >= 3, {{ pearson('n', 'sum_x', 'sum_y', 'sum_xx', 'sum_yy', 'sum_xy') }}, null) as r,
    (sum_yy - cast(sum_y as float64) * sum_y / n) as spread_y
  from sums
),

residuals as (
  select
    counted.y,
    counted.winter,
    counted.day,
    counted.degrees,
    cast(round(counted.power - fits.mean_y - fits.slope * (counted.degrees - fits.mean_x)) as int64) as residual
  from counted
  inner join fits on counted.y = fits.y and counted.winter = fits.winter
  where fits.slope is not null
),

distances as (
  {{ autocorrelation_distances() }}
),

remembered as (
  select
    residuals.y,
    residuals.winter,
    date_add(residuals.day, interval distances.distance day) as day,
    distances.distance,
    distances.stands_for,
    residuals.degrees,
    residuals.residual
  from residuals
  cross join distances
),

-- How long the cold lasts and how long the fit stays off on the same side: both together make days count for less.
autocorrelations as (
  select
    now.y,
    now.winter,
    earlier.distance,
    earlier.stands_for,
    {{ pearson('count(*)', 'sum(earlier.degrees)', 'sum(now.degrees)', 'sum(earlier.degrees * earlier.degrees)',
      'sum(now.degrees * now.degrees)', 'sum(earlier.degrees * now.degrees)') }}
    * {{ pearson('count(*)', 'sum(earlier.residual)', 'sum(now.residual)', 'sum(earlier.residual * earlier.residual)',
      'sum(now.residual * now.residual)', 'sum(earlier.residual * now.residual)') }} as product
  from residuals as now
  inner join remembered as earlier
    on now.y = earlier.y and now.winter = earlier.winter and now.day = earlier.day
  group by 1, 2, 3, 4
),

bounded_products as (
  select
    *,
    {{ least_so_far('product', 'y, winter', 'distance') }} as least_so_far
  from autocorrelations
),

inflations as (
  select
    y,
    winter,
    {{ inflation() }} as inflation
  from bounded_products
  group by 1, 2
),

figures as (
  select
    fits.*,
    fits.n / coalesce(inflations.inflation, 1) as n_effective,
    -- A step of power over a step of degrees is a thousand MW per °C.
    fits.slope * 1000 as mw_per_c,
    1000 * sqrt(
      safe_divide(
        (1 - fits.r * fits.r) * fits.spread_y * coalesce(inflations.inflation, 1), (fits.n - 2) * fits.spread_x
      )
    ) as error_mw_per_c
  from fits
  left join inflations on fits.y = inflations.y and fits.winter = inflations.winter
),

-- All winters together have a row even where there is none.
rows_wanted as (
  select
    y,
    winter
  from fits
  union distinct
  select
    concat(quantity, '_mwh') as y,
    'all' as winter
  from unnest(['{{ loads | join("', '") }}']) as quantity
)

select
  wanted.y,
  wanted.winter,
  coalesce(figures.n, 0) as n,
  coalesce(round(figures.n_effective, 1), 0) as n_effective,
  round(figures.mw_per_c, 3) as mw_per_c,
  round(if(figures.n_effective > 3, figures.mw_per_c - {{ z95() }} * figures.error_mw_per_c, null), 3)
    as mw_per_c_low,
  round(if(figures.n_effective > 3, figures.mw_per_c + {{ z95() }} * figures.error_mw_per_c, null), 3)
    as mw_per_c_high,
  round((figures.mean_y - figures.slope * figures.mean_x) / 100, 3) as base_mw,
  round(figures.r * figures.r, 9) as r2
from rows_wanted as wanted
left join figures on wanted.y = figures.y and wanted.winter = figures.winter
