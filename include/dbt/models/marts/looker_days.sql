{{ config(materialized='view') }}

with days as (
  select
    *,
    {% for source in production_sources() %}
      {{ source }}_mwh{{ ' +' if not loop.last }}
    {% endfor %}
      as production_mwh
  from {{ ref('energy_climate_daily') }}
)

select
  day,
  {{ season_name('day') }} as season,
  if({{ is_injection('day') }}, 'injection', 'withdrawal') as gas_campaign,
  electricity_is_complete,
  consumption_mwh / 1000 as consumption_gwh,
  production_mwh / 1000 as production_gwh,
  {% for source in production_sources() %}
    {{ source }}_mwh / 1000 as {{ source }}_gwh,
  {% endfor %}
  physical_exchange_mwh / 1000 as physical_exchange_gwh,
  commercial_import_mwh / 1000 as commercial_import_gwh,
  commercial_export_mwh / 1000 as commercial_export_gwh,
  co2_g_per_kwh * production_mwh / 1000 as co2_tonnes,
  temperature_mean_c,
  heating_degree_days,
  temperature_category,
  gas_stock_gwh,
  gas_flow_gwh,
  gas_fullness_pct
from days
