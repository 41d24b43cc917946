{#- The quantities of electricity, by the names that columns are made of (`<name>_mw`, `<name>_mwh`): written once. -#}

{#- The eight sources of production, whose sum shares refer to. -#}
{% macro production_sources() %}
  {{ return(['nuclear', 'wind', 'solar', 'hydro', 'gas', 'coal', 'oil', 'bioenergy']) }}
{% endmacro %}

{#- The sub-technologies, in the order of seed `technologies`, which says which source each belongs to. -#}
{% macro technologies() %}
  {{ return([
    'oil_turbine', 'oil_cogeneration', 'oil_other',
    'gas_turbine', 'gas_cogeneration', 'gas_combined_cycle', 'gas_other',
    'hydro_run_of_river', 'hydro_reservoir', 'hydro_pumped_storage',
    'bioenergy_waste', 'bioenergy_biomass', 'bioenergy_biogas',
    'wind_onshore', 'wind_offshore'
  ]) }}
{% endmacro %}

{#- What is neither production nor exchange: loads are negative, as the source gives them. -#}
{% macro storage_flows() %}
  {{ return(['pumping', 'battery_charge', 'battery_discharge']) }}
{% endmacro %}

{#- The borders of commercial exchange. -#}
{% macro borders() %}
  {{ return(['england', 'spain', 'italy', 'switzerland', 'germany_belgium']) }}
{% endmacro %}

{#- Every column of a step that `eco2mix-national-tr` and `-cons-def` share, in the order of the marts. -#}
{% macro shared_step_columns() %}
  {%- set columns = ['consumption_mw'] -%}
  {%- for source in production_sources() %}{% do columns.append(source ~ '_mw') %}{% endfor -%}
  {%- do columns.extend(['pumping_mw', 'physical_exchange_mw']) -%}
  {%- for border in borders() %}{% do columns.append('commercial_exchange_' ~ border ~ '_mw') %}{% endfor -%}
  {%- do columns.extend(['co2_g_per_kwh', 'forecast_day_ahead_mw', 'forecast_intraday_mw']) -%}
  {%- for technology in technologies() if not technology.startswith('wind') -%}
    {%- do columns.append(technology ~ '_mw') -%}
  {%- endfor -%}
  {{ return(columns) }}
{% endmacro %}

{#- What the real-time dataset alone has. -#}
{% macro real_time_step_columns() %}
  {{ return(['wind_onshore_mw', 'wind_offshore_mw', 'battery_charge_mw', 'battery_discharge_mw']) }}
{% endmacro %}

{#- Sum of an expression over all rows of a group; none where it has no value in one of them. -#}
{% macro sum_of_all(expression) -%}
  if(countif({{ expression }} is null) = 0, sum({{ expression }}), null)
{%- endmacro %}
