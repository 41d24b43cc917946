{{ config(cluster_by=['source']) }}

with by_source as (
  select
    power.day,
    part.source,
    part.energy_mwh,
    safe_divide(100 * part.energy_mwh, power.production_mwh) as share_pct,
    part.measured_hours,
    power.expected_hours,
    power.is_complete
  from {{ ref('int_power_daily') }} as power
  cross join
    unnest([
      {% for source in production_sources() %}
        struct(
          '{{ source }}' as source, {{ source }}_mwh as energy_mwh, {{ source }}_measured_hours as measured_hours
        ){{ ',' if not loop.last }}
      {% endfor %}
    ]) as part
)

select
  day,
  source,
  energy_mwh,
  share_pct,
  measured_hours,
  expected_hours,
  is_complete
from by_source
