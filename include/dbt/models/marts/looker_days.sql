{{ config(materialized='view') }}
{%- set productions = production_sources() %}

with days as (
  select
    *,
    {% for source in productions %}
      coalesce({{ source }}_mwh, 0){{ ' +' if not loop.last }}
    {% endfor %}
      as measured_production_mwh,
    coalesce(
      {% for source in productions %}
        {{ source }}_mwh{{ ',' if not loop.last }}
      {% endfor %}
    ) is not null as has_production
  from {{ ref('energy_climate_daily') }}
)

select
  day,
  {{ season_name('day') }} as season,
  if({{ is_injection('day') }}, 'injection', 'withdrawal') as gas_campaign,
  electricity_is_complete,
  consumption_mwh / 1000 as consumption_gwh,
  if(has_production, measured_production_mwh / 1000, null) as production_gwh,
  {% for source in productions %}
    {{ source }}_mwh / 1000 as {{ source }}_gwh,
  {% endfor %}
  physical_exchange_mwh / 1000 as physical_exchange_gwh,
  commercial_import_mwh / 1000 as commercial_import_gwh,
  commercial_export_mwh / 1000 as commercial_export_gwh,
  if(has_production, co2_g_per_kwh * measured_production_mwh / 1000, null) as co2_tonnes,
  temperature_mean_c,
  heating_degree_days,
  temperature_category,
  gas_stock_gwh,
  gas_flow_gwh,
  gas_fullness_pct
from days
