{#- The columns that both eco2mix datasets have, in English and with their units: the same for both. -#}
{% macro eco2mix_columns() %}
date_heure as instant,
  case nature
    when 'Données temps réel' then 'real_time'
    when 'Données consolidées' then 'consolidated'
    when 'Données définitives' then 'definitive'
    else nature
  end as nature,
  consommation as consumption_mw,
  nucleaire as nuclear_mw,
  eolien as wind_mw,
  solaire as solar_mw,
  hydraulique as hydro_mw,
  gaz as gas_mw,
  charbon as coal_mw,
  fioul as oil_mw,
  bioenergies as bioenergy_mw,
  pompage as pumping_mw,
  ech_physiques as physical_exchange_mw,
  ech_comm_angleterre as commercial_exchange_england_mw,
  ech_comm_espagne as commercial_exchange_spain_mw,
  ech_comm_italie as commercial_exchange_italy_mw,
  ech_comm_suisse as commercial_exchange_switzerland_mw,
  ech_comm_allemagne_belgique as commercial_exchange_germany_belgium_mw,
  taux_co2 as co2_g_per_kwh,
  prevision_j1 as forecast_day_ahead_mw,
  prevision_j as forecast_intraday_mw,
  fioul_tac as oil_turbine_mw,
  fioul_cogen as oil_cogeneration_mw,
  fioul_autres as oil_other_mw,
  gaz_tac as gas_turbine_mw,
  gaz_cogen as gas_cogeneration_mw,
  gaz_ccg as gas_combined_cycle_mw,
  gaz_autres as gas_other_mw,
  hydraulique_fil_eau_eclusee as hydro_run_of_river_mw,
  hydraulique_lacs as hydro_reservoir_mw,
  hydraulique_step_turbinage as hydro_pumped_storage_mw,
  bioenergies_dechets as bioenergy_waste_mw,
  bioenergies_biomasse as bioenergy_biomass_mw,
  bioenergies_biogaz as bioenergy_biogas_mw
{%- endmacro %}

{#- Columns of real time: where a commercial exchange is empty, that of its half-hour (the window `half_hour`). -#}
{% macro held_for_the_half_hour(columns) %}
  {%- for column in columns %}
    {%- if column.startswith('commercial_exchange_') -%}
coalesce(
      {{ column }}, max(if(extract(minute from instant) in (0, 30), {{ column }}, null)) over (half_hour)
    ) as {{ column }}
    {%- else -%}
{{ column }}
    {%- endif %}
    {%- if not loop.last %},
    {% endif %}
  {%- endfor %}
{%- endmacro %}
