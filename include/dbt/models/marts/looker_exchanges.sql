{{ config(materialized='view') }}

select
  days.day,
  part.border,
  part.direction,
  part.energy_mwh / 1000 as energy_gwh,
  days.gas_fullness_pct,
  days.electricity_is_complete
from {{ ref('energy_climate_daily') }} as days
cross join
  unnest([
    {% for border in borders() %}
      struct('{{ border }}' as border, 'import' as direction, days.import_{{ border }}_mwh as energy_mwh),
      struct('{{ border }}' as border, 'export' as direction, days.export_{{ border }}_mwh as energy_mwh)
      {{- ',' if not loop.last }}
    {% endfor %}
  ]) as part
where part.energy_mwh is not null
