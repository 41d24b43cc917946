-- The wide table and the long one tell the same day.
with wide as (
  select
    day,
    {% for source in production_sources() %}
    coalesce({{ source }}_mwh, 0){{ ' +' if not loop.last }}
    {% endfor %}
    as production_mwh
  from {{ ref('energy_climate_daily') }}
  where consumption_mwh is not null
),

long as (
  select
    day,
    sum(energy_mwh) as production_mwh
  from {{ ref('energy_mix_daily') }}
  group by day
)

select
  wide.day as wide_day,
  long.day as long_day,
  wide.production_mwh as wide_mwh,
  long.production_mwh as long_mwh
from wide
full outer join long on wide.day = long.day
where wide.day is null or long.day is null or abs(wide.production_mwh - coalesce(long.production_mwh, 0)) > 0.001
