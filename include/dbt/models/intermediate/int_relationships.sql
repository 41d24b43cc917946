{#- Inlined into `relationships`, which makes sentences of these figures. -#}
{{ config(materialized='ephemeral') }}

-- Not named as its column 'series' is: BigQuery takes the bare name for the whole row.
with daily_series as (
  select * from {{ ref('int_daily_series') }}
),

pairs as (
  select *
  from
    unnest([
      {% for pair in relationship_pairs() %}
        struct({{ pair.question }} as question, '{{ pair.x }}' as x, '{{ pair.y }}' as y){{ ',' if not loop.last }}
      {% endfor %}
    ])
),

-- What is set side by side: the figures, their anomalies from the season, their changes since the day before.
inputs as (
  select
    day,
    series,
    'figure' as kind,
    figure
  from daily_series
  union all
  select
    day,
    series,
    'anomaly' as kind,
    anomaly as figure
  from daily_series
  where anomaly is not null
  union all
  select
    today.day,
    today.series,
    'change' as kind,
    round(today.figure - before.figure, 6) as figure
  from daily_series as today
  inner join daily_series as before
    on today.series = before.series and today.day = date_add(before.day, interval 1 day)
),

-- The mean over the days that end that day: over those that are there, on days that are there themselves.
running_sums as (
  select
    {% for days in trailing_windows() %}
      sum(cast(round(figure * 1000000) as int64)) over ({{ days_that_end_with_it(days) }}) as total_{{ days }},
      count(*) over ({{ days_that_end_with_it(days) }}) as days_{{ days }},
    {% endfor %}
    series,
    day,
    kind
  from inputs
  where kind != 'change' and series in (select pairs.x from pairs)
),

trailing as (
  select
    running_sums.series,
    running_sums.day,
    running_sums.kind,
    part.window_days,
    part.total / part.days / 1000000 as figure
  from running_sums
  cross join
    unnest([
      {% for days in trailing_windows() %}
        struct(
          {{ days }} as window_days, running_sums.total_{{ days }} as total, running_sums.days_{{ days }} as days
        ){{ ',' if not loop.last }}
      {% endfor %}
    ]) as part
),

curves as (
  select
    series,
    day,
    kind,
    0 as window_days,
    figure
  from inputs
  union all
  select
    series,
    day,
    kind,
    window_days,
    figure
  from trailing
),

-- Each curve in whole steps of a forty-millionth of its range: sums of products then are exact, the same in every
-- order, and stay below 2^63 for twenty years of days.
ranges as (
  select
    series,
    kind,
    window_days,
    (min(figure) + max(figure)) / 2 as middle,
    nullif(max(figure) - min(figure), 0) / 40000000 as step
  from curves
  group by 1, 2, 3
),

counted as (
  select
    curves.series,
    curves.day,
    curves.kind,
    curves.window_days,
    coalesce(cast(round((curves.figure - ranges.middle) / ranges.step) as int64), 0) as steps
  from curves
  inner join ranges
    on
      curves.series = ranges.series
      and curves.kind = ranges.kind
      and curves.window_days = ranges.window_days
),

shapes as (
  select *
  from
    unnest([
      struct('raw' as method, 'figure' as kind, 0 as lag_days, 0 as shift_days, 0 as window_days),
      struct('first_difference', 'change', 0, 0, 0),
      {% for kind, same, shifted, averaged in [
        ('figure', none, 'lagged', 'trailing_mean'),
        ('anomaly', 'deseasonalised', 'deseasonalised_lagged', 'deseasonalised_trailing_mean')
      ] %}
        {% if same %}struct('{{ same }}', '{{ kind }}', 0, 0, 0),{% endif %}
        {% for days in lags() %}
          struct('{{ shifted }}', '{{ kind }}', {{ days }}, {{ days }}, 0),
        {% endfor %}
        {% for days in trailing_windows() %}
          struct('{{ averaged }}', '{{ kind }}', {{ days }}, 0, {{ days }}){{ ',' if not loop.last }}
        {% endfor %}
        {{- ',' if not loop.last }}
      {% endfor %}
    ])
),

-- The influence leads: what it was `shift_days` before stands on the day that it is held against.
leading as (
  select
    curve.series as x,
    curve.kind,
    shapes.method,
    shapes.lag_days,
    date_add(curve.day, interval shapes.shift_days day) as day,
    curve.steps
  from counted as curve
  inner join shapes on curve.kind = shapes.kind and curve.window_days = shapes.window_days
  where curve.series in (select pairs.x from pairs)
),

influenced as (
  select
    pairs.question,
    pairs.x,
    pairs.y,
    curve.kind,
    curve.day,
    extract(year from curve.day) as year,
    {{ is_winter('curve.day') }} as is_winter,
    curve.steps
  from counted as curve
  inner join pairs on curve.series = pairs.y
  where curve.window_days = 0
),

sums_by_year as (
  select
    influenced.question,
    influenced.x,
    influenced.y,
    leading.method,
    leading.lag_days,
    influenced.year,
    influenced.is_winter,
    count(*) as n,
    sum(leading.steps) as sum_x,
    sum(influenced.steps) as sum_y,
    sum(leading.steps * leading.steps) as sum_xx,
    sum(influenced.steps * influenced.steps) as sum_yy,
    sum(leading.steps * influenced.steps) as sum_xy
  from influenced
  inner join leading on influenced.x = leading.x and influenced.kind = leading.kind and influenced.day = leading.day
  group by 1, 2, 3, 4, 5, 6, 7
),

sums as (
  select
    by_year.question,
    by_year.x,
    by_year.y,
    by_year.method,
    by_year.lag_days,
    period,
    season_filter,
    sum(by_year.n) as n,
    sum(by_year.sum_x) as sum_x,
    sum(by_year.sum_y) as sum_y,
    sum(by_year.sum_xx) as sum_xx,
    sum(by_year.sum_yy) as sum_yy,
    sum(by_year.sum_xy) as sum_xy
  from sums_by_year as by_year
  cross join unnest(['all', cast(by_year.year as string)]) as period
  cross join unnest(['all', if(by_year.is_winter, 'winter', 'summer')]) as season_filter
  group by 1, 2, 3, 4, 5, 6, 7
),

-- How long each curve remembers: its correlation with itself some days later.
distances as (
  {{ autocorrelation_distances() }}
),

remembered as (
  select
    curve.series,
    curve.kind,
    curve.window_days,
    date_add(curve.day, interval distances.distance day) as day,
    distances.distance,
    distances.stands_for,
    curve.steps
  from counted as curve
  cross join distances
),

autocorrelation_sums as (
  select
    now.series,
    now.kind,
    now.window_days,
    earlier.distance,
    earlier.stands_for,
    count(*) as n,
    sum(earlier.steps) as sum_x,
    sum(now.steps) as sum_y,
    sum(earlier.steps * earlier.steps) as sum_xx,
    sum(now.steps * now.steps) as sum_yy,
    sum(earlier.steps * now.steps) as sum_xy
  from counted as now
  inner join remembered as earlier
    on
      now.series = earlier.series
      and now.kind = earlier.kind
      and now.window_days = earlier.window_days
      and now.day = earlier.day
  group by 1, 2, 3, 4, 5
),

autocorrelations as (
  select
    series,
    kind,
    window_days,
    distance,
    stands_for,
    {{ pearson('n', 'sum_x', 'sum_y', 'sum_xx', 'sum_yy', 'sum_xy') }} as autocorrelation
  from autocorrelation_sums
),

-- Bartlett: what two independent curves with these memories would count for less, up to the first distance at which
-- the product is no longer positive.
products as (
  select
    pairs.question,
    pairs.x,
    pairs.y,
    shapes.method,
    shapes.lag_days,
    x.stands_for,
    x.autocorrelation * y.autocorrelation as product,
    {{ least_so_far(
      'x.autocorrelation * y.autocorrelation', 'pairs.question, pairs.x, pairs.y, shapes.method, shapes.lag_days',
      'x.distance'
    ) }} as least_so_far
  from pairs
  cross join shapes
  inner join autocorrelations as x
    on pairs.x = x.series and shapes.kind = x.kind and shapes.window_days = x.window_days
  inner join autocorrelations as y
    on pairs.y = y.series and shapes.kind = y.kind and y.window_days = 0 and x.distance = y.distance
),

inflations as (
  select
    question,
    x,
    y,
    method,
    lag_days,
    {{ inflation() }} as inflation
  from products
  group by 1, 2, 3, 4, 5
),

periods as (
  select 'all' as period
  union distinct
  select cast(extract(year from day) as string) as period from daily_series
),

rows_wanted as (
  select
    pairs.question,
    pairs.x,
    pairs.y,
    shapes.method,
    shapes.kind,
    shapes.lag_days,
    shapes.window_days,
    periods.period,
    season_filter
  from pairs
  cross join shapes
  cross join periods
  cross join unnest(['all', 'winter', 'summer']) as season_filter
),

correlated as (
  select
    wanted.question,
    wanted.x,
    wanted.y,
    wanted.method,
    wanted.lag_days,
    wanted.period,
    wanted.season_filter,
    coalesce(sums.n, 0) as n,
    coalesce(sums.n, 0) / coalesce(inflations.inflation, 1) as n_effective,
    if(
      sums.n >= 3,
      {{ pearson('sums.n', 'sums.sum_x', 'sums.sum_y', 'sums.sum_xx', 'sums.sum_yy', 'sums.sum_xy') }},
      null
    ) as r,
    if(
      sums.n >= 3,
      {{ least_squares('sums.n', 'sums.sum_x', 'sums.sum_y', 'sums.sum_xx', 'sums.sum_xy') }}
      * y_ranges.step / x_ranges.step,
      null
    ) as slope
  from rows_wanted as wanted
  left join sums
    on
      wanted.question = sums.question
      and wanted.x = sums.x
      and wanted.y = sums.y
      and wanted.method = sums.method
      and wanted.lag_days = sums.lag_days
      and wanted.period = sums.period
      and wanted.season_filter = sums.season_filter
  left join inflations
    on
      wanted.question = inflations.question
      and wanted.x = inflations.x
      and wanted.y = inflations.y
      and wanted.method = inflations.method
      and wanted.lag_days = inflations.lag_days
  left join ranges as x_ranges
    on wanted.x = x_ranges.series and wanted.kind = x_ranges.kind and wanted.window_days = x_ranges.window_days
  left join ranges as y_ranges
    on wanted.y = y_ranges.series and wanted.kind = y_ranges.kind and y_ranges.window_days = 0
),

-- Fisher: atanh(r) is about normal, with a standard deviation of 1 / sqrt(n - 3).
bounded as (
  select
    *,
    if(n_effective > 3, atanh(least(greatest(r, -0.999999999), 0.999999999)), null) as z,
    if(n_effective > 3, {{ z95() }} / sqrt(n_effective - 3), null) as half_width
  from correlated
)

select
  question,
  x,
  y,
  method,
  lag_days,
  period,
  season_filter,
  n,
  round(n_effective, 1) as n_effective,
  round(least(greatest(r, -1), 1), 9) as r,
  round(tanh(z - half_width), 9) as r_low,
  round(tanh(z + half_width), 9) as r_high,
  if(r is null, null, round(slope, 6)) as slope
from bounded
