{{ config(cluster_by=['period_type', 'source']) }}

{#-
  Energies are whole MW·min: they are summed as such and divided once, so that a period's figure does not depend on the
  order in which a warehouse adds its days.
-#}
with mix as (
  select
    day,
    source,
    cast(round(60 * energy_mwh) as int64) as energy_mw_minutes,
    measured_hours,
    is_complete
  from {{ ref('energy_mix_daily') }}
  -- A day on which one source has no energy would make the shares of the others too large.
  qualify countif(energy_mwh is null) over (partition by day) = 0
),

days as (
  select distinct day from mix
),

periods_of_days as (
  select
    days.day,
    part.period_type,
    part.period,
    part.period_start,
    date_sub(part.next_start, interval 1 day) as period_end
  from days
  cross join
    unnest([
      struct(
        'week' as period_type,
        format_date('%G-W%V', days.day) as period,
        date_trunc(days.day, isoweek) as period_start,
        date_add(date_trunc(days.day, isoweek), interval 7 day) as next_start
      ),
      struct(
        'month' as period_type,
        format_date('%Y-%m', days.day) as period,
        date_trunc(days.day, month) as period_start,
        date_add(date_trunc(days.day, month), interval 1 month) as next_start
      ),
      struct(
        'quarter' as period_type,
        format('%d-Q%d', extract(year from days.day), extract(quarter from days.day)) as period,
        date_trunc(days.day, quarter) as period_start,
        date_add(date_trunc(days.day, quarter), interval 3 month) as next_start
      ),
      struct(
        'year' as period_type,
        format_date('%Y', days.day) as period,
        date_trunc(days.day, year) as period_start,
        date_add(date_trunc(days.day, year), interval 1 year) as next_start
      ),
      struct(
        'season' as period_type,
        format('%d-%s', {{ season_year('days.day') }}, {{ season_name('days.day') }}) as period,
        {{ season_start('days.day') }} as period_start,
        date_add({{ season_start('days.day') }}, interval 3 month) as next_start
      ),
      struct(
        'gas_campaign' as period_type,
        format(
          '%d-%s',
          extract(year from {{ campaign_start('days.day') }}),
          if({{ is_injection('days.day') }}, 'injection', 'withdrawal')
        ) as period,
        {{ campaign_start('days.day') }} as period_start,
        date_add(
          {{ campaign_start('days.day') }}, interval if({{ is_injection('days.day') }}, 7, 5) month
        ) as next_start
      )
    ]) as part
),

by_period as (
  select
    periods_of_days.period_type,
    periods_of_days.period,
    periods_of_days.period_start,
    periods_of_days.period_end,
    mix.source,
    sum(mix.energy_mw_minutes) as energy_mw_minutes,
    sum(mix.measured_hours) as measured_hours,
    -- Of all its days, those that nothing is known of included.
    {{ civil_hours('periods_of_days.period_start', 'periods_of_days.period_end') }} as expected_hours,
    date_diff(periods_of_days.period_end, periods_of_days.period_start, day) + 1 as days,
    countif(mix.is_complete) as complete_days
  from mix
  inner join periods_of_days on mix.day = periods_of_days.day
  group by
    periods_of_days.period_type, periods_of_days.period, periods_of_days.period_start, periods_of_days.period_end,
    mix.source
)

select
  period_type,
  period,
  period_start,
  period_end,
  source,
  energy_mw_minutes / 60 as energy_mwh,
  safe_divide(
    100 * energy_mw_minutes, sum(energy_mw_minutes) over (partition by period_type, period)
  ) as share_pct,
  measured_hours,
  expected_hours,
  100 * measured_hours / expected_hours as completeness_pct,
  complete_days = days as is_complete
from by_period
