{%- set energies = production_sources() + storage_flows() + ['physical_exchange'] %}

with power as (
  select * from {{ ref('int_power_daily') }}
),

gas as (
  select
    day,
    stock_gwh,
    flow_gwh,
    fullness_pct
  from {{ ref('gas_stock_daily') }}
  where storage_point = 'France'
),

temperature as (
  select
    day,
    temperature_mean_c,
    heating_degree_days,
    category
  from {{ ref('temperature_daily') }}
),

top_sources as (
  select
    day,
    source as top_source
  from {{ ref('energy_mix_daily') }}
  -- No share: not all sources are known.
  where share_pct > 0
  qualify row_number() over (
    partition by day
    order by energy_mwh desc, source asc
  ) = 1
),

exports as (
  select
    power.day,
    part.border,
    part.export_mwh
  from power
  cross join
    unnest([
      {% for border in borders() %}
        struct('{{ border }}' as border, export_{{ border }}_mwh as export_mwh){{ ',' if not loop.last }}
      {% endfor %}
    ]) as part
  qualify countif(part.export_mwh is null) over (partition by power.day) = 0
),

top_exports as (
  select
    day,
    border as top_export_destination
  from exports
  where export_mwh > 0
  qualify row_number() over (
    partition by day
    order by export_mwh desc, border asc
  ) = 1
),

days as (
  select day from power
  union distinct
  select day from gas
  union distinct
  select day from temperature
)

select
  days.day,
  power.consumption_mwh,
  {% for name in energies %}
    power.{{ name }}_mwh,
  {% endfor %}
  {% for border in borders() %}
    power.import_{{ border }}_mwh,
    power.export_{{ border }}_mwh,
  {% endfor %}
  {% for direction in ['import', 'export'] %}
    {% for border in borders() %}
      power.{{ direction }}_{{ border }}_mwh{{ ' +' if not loop.last }}
    {% endfor %}
      as commercial_{{ direction }}_mwh,
  {% endfor %}
  {% for border in borders() %}
    power.import_{{ border }}_mwh + power.export_{{ border }}_mwh{{ ' +' if not loop.last }}
  {% endfor %}
    as commercial_volume_mwh,
  power.co2_g_per_kwh,
  gas.stock_gwh as gas_stock_gwh,
  gas.flow_gwh as gas_flow_gwh,
  gas.fullness_pct as gas_fullness_pct,
  temperature.temperature_mean_c,
  temperature.heating_degree_days,
  temperature.category as temperature_category,
  top_sources.top_source,
  top_exports.top_export_destination,
  coalesce(power.is_complete, false) as electricity_is_complete,
  coalesce(power.is_complete, false)
  and gas.day is not null
  and temperature.day is not null as is_complete
from days
left join power on days.day = power.day
left join gas on days.day = gas.day
left join temperature on days.day = temperature.day
left join top_sources on days.day = top_sources.day
left join top_exports on days.day = top_exports.day
