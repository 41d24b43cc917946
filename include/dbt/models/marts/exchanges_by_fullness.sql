with series as (
  select
    series.day,
    series.series,
    part.method,
    part.figure
  from {{ ref('int_daily_series') }} as series
  cross join
    unnest([
      struct('raw' as method, series.figure as figure),
      struct('deseasonalised' as method, series.anomaly as figure)
    ]) as part
  where part.figure is not null
),

-- Days of which both are known, in groups of one size from the emptiest storages to the fullest; where two days are
-- equally full, the earlier comes first.
days as (
  select
    fullness.method,
    fullness.day,
    fullness.figure as fullness_pct,
    ntile(3) over (by_fullness) as tercile,
    ntile(10) over (by_fullness) as decile
  from series as fullness
  inner join series as volume
    on fullness.method = volume.method and fullness.day = volume.day and volume.series = 'commercial_volume_mwh'
  where fullness.series = 'gas_fullness_pct'
  window by_fullness as (
    partition by fullness.method
    order by fullness.figure, fullness.day
  )
),

members as (
  select
    days.method,
    part.group_type,
    part.group_number,
    days.day,
    days.fullness_pct
  from days
  cross join
    unnest([
      struct('tercile' as group_type, days.tercile as group_number),
      struct('decile' as group_type, days.decile as group_number)
    ]) as part
),

exchanges as (
  select
    series.method,
    series.day,
    part.border,
    -- Millionths, whole numbers: their sum is the same in every order.
    sum(if(part.is_import, cast(round(series.figure * 1000000) as int64), 0)) as import_millionths,
    sum(if(part.is_import, 0, cast(round(series.figure * 1000000) as int64))) as export_millionths
  from series
  inner join
    unnest([
      struct('commercial_import_mwh' as series, 'all' as border, true as is_import),
      struct('commercial_export_mwh' as series, 'all' as border, false as is_import),
      {% for border in borders() %}
        struct('import_{{ border }}_mwh' as series, '{{ border }}' as border, true as is_import),
        struct('export_{{ border }}_mwh' as series, '{{ border }}' as border, false as is_import)
        {{- ',' if not loop.last }}
      {% endfor %}
    ]) as part
    on series.series = part.series
  group by 1, 2, 3
)

select
  members.method,
  members.group_type,
  members.group_number,
  exchanges.border,
  count(*) as n,
  min(members.fullness_pct) as fullness_low_pct,
  max(members.fullness_pct) as fullness_high_pct,
  round(sum(exchanges.import_millionths) / count(*) / 1000000, 6) as import_mwh,
  round(sum(exchanges.export_millionths) / count(*) / 1000000, 6) as export_mwh,
  round(sum(exchanges.import_millionths + exchanges.export_millionths) / count(*) / 1000000, 6) as volume_mwh,
  round(sum(exchanges.import_millionths - exchanges.export_millionths) / count(*) / 1000000, 6) as balance_mwh
from members
inner join exchanges on members.method = exchanges.method and members.day = exchanges.day
group by 1, 2, 3, 4
