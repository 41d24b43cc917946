{{ config(materialized='table') }}

{#-
  All figures of a day cover the same steps, those at which consumption was measured: a quantity that is unknown at one
  of them is null that day. MW and minutes are whole numbers: energies are summed as whole MW·min and divided once, so a figure does not
  depend on the order in which a warehouse adds its rows.
-#}
{%- set energies = production_sources() + technologies() + storage_flows() + ['physical_exchange'] %}

with steps as (
  select
    *,
    {% for source in production_sources() %}
      {{ source }}_mw{{ ' +' if not loop.last }}
    {% endfor %}
      as production_mw,
    count(*) over (half_hour) as steps_in_half_hour,
    max(instant) over () as last_instant
  from {{ ref('power_steps') }}
  window half_hour as (partition by div(unix_seconds(instant), 1800))
),

steps_with_exchange_minutes as (
  -- A commercial exchange holds until the next :00 or :30. Its second quarter of an hour is a step of its own in
  -- power_steps; where that step was not measured, the first one stands for both, but not beyond the last measure.
  select
    *,
    if(
      step_minutes = 15
      and steps_in_half_hour = 1
      and extract(minute from instant) in (0, 30)
      and timestamp_add(instant, interval 15 minute) <= last_instant,
      30,
      step_minutes
    ) as exchange_minutes
  from steps
),

daily as (
  select
    day,
    sum(step_minutes) / 60 as measured_hours,
    sum(if(production_mw is null, 0, step_minutes)) / 60 as complete_hours,
    {% for name in ['consumption', 'production'] + energies %}
      {{ sum_of_all(name ~ '_mw * step_minutes') }} / 60 as {{ name }}_mwh,
    {% endfor %}
    {% for name in production_sources() + technologies() %}
      sum(if({{ name }}_mw is null, 0, step_minutes)) / 60 as {{ name }}_measured_hours,
    {% endfor %}
    {% for border in borders() %}
      {%- set exchange = 'commercial_exchange_' ~ border ~ '_mw' %}
      {{ sum_of_all('greatest(' ~ exchange ~ ', 0) * exchange_minutes') }} / 60 as import_{{ border }}_mwh,
      {{ sum_of_all('greatest(-' ~ exchange ~ ', 0) * exchange_minutes') }} / 60 as export_{{ border }}_mwh,
    {% endfor %}
    -- Grams of CO2 go with the energy that they were emitted for.
    safe_divide(
      {{ sum_of_all('co2_g_per_kwh * production_mw * step_minutes') }}, sum(production_mw * step_minutes)
    ) as co2_g_per_kwh
  from steps_with_exchange_minutes
  group by day
)

select
  day,
  measured_hours,
  {{ civil_hours('day', 'day') }} as expected_hours,
  complete_hours = {{ civil_hours('day', 'day') }} as is_complete,
  consumption_mwh,
  production_mwh,
  {% for name in energies %}
    {{ name }}_mwh,
  {% endfor %}
  {% for name in production_sources() + technologies() %}
    {{ name }}_measured_hours,
  {% endfor %}
  {% for border in borders() %}
    import_{{ border }}_mwh,
    export_{{ border }}_mwh,
  {% endfor %}
  co2_g_per_kwh
from daily
