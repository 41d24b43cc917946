{{ config(cluster_by=['source', 'technology']) }}

with by_technology as (
  select
    power.day,
    part.technology,
    part.energy_mwh,
    -- Of the same whole as the shares by source: the sum of the eight productions.
    safe_divide(100 * part.energy_mwh, power.production_mwh) as share_pct,
    part.measured_hours,
    power.expected_hours,
    power.is_complete and part.measured_hours = power.expected_hours as is_complete
  from {{ ref('int_power_daily') }} as power
  cross join
    unnest([
      {% for technology in technologies() %}
        struct(
          '{{ technology }}' as technology,
          {{ technology }}_mwh as energy_mwh,
          {{ technology }}_measured_hours as measured_hours
        ){{ ',' if not loop.last }}
      {% endfor %}
    ]) as part
)

select
  by_technology.day,
  technologies.source,
  by_technology.technology,
  by_technology.energy_mwh,
  by_technology.share_pct,
  by_technology.measured_hours,
  by_technology.expected_hours,
  by_technology.is_complete
from by_technology
inner join {{ ref('technologies') }} as technologies on by_technology.technology = technologies.technology
