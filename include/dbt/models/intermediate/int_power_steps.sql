{#- Inlined into `power_steps`: the plan's constant bounds must reach the raw tables. -#}
{{ config(materialized='ephemeral') }}

{%- set plan = power_steps_plan() %}
{%- set shared_columns = shared_step_columns() %}
{%- set real_time_columns = real_time_step_columns() %}

{{ note_of_plan(plan) }}
with consolidated as (
  -- The :15 and :45 rows hold forecasts only: a measured step lasts half an hour.
  select
    instant,
    30 as step_minutes,
    nature,
    {% for column in real_time_columns %}
      cast(null as int64) as {{ column }},
    {% endfor %}
    {{ shared_columns | join(',\n    ') }}
  from {{ ref('stg_odre__eco2mix_national_cons_def') }}
  where
    {{ instant_in_plan(plan, 'instant') }}
    and consumption_mw is not null
    and extract(minute from instant) in (0, 30)
),

real_time as (
  -- By period, not row by row: where consolidation has come to, real time has no say, or quarter-hours would fill what
  -- consolidation leaves empty on purpose and count twice.
  select
    instant,
    15 as step_minutes,
    nature,
    {{ (real_time_columns + shared_columns) | join(',\n    ') }}
  from {{ ref('stg_odre__eco2mix_national_tr') }}
  where
    {{ instant_in_plan(plan, 'instant') }}
    and instant >= timestamp '{{ plan.real_time_from }}'
),

real_time_with_held_exchanges as (
  -- Commercial exchanges are fixed by half-hour or hour; until 2023 the source leaves :15 and :45 empty.
  select
    instant,
    step_minutes,
    nature,
    {{ held_for_the_half_hour(real_time_columns + shared_columns) }}
  from real_time
  window half_hour as (partition by div(unix_seconds(instant), 1800))
),

all_steps as (
  select * from consolidated
  union all
  select * from real_time_with_held_exchanges
)

-- Rows to come carry forecasts and exchanges agreed ahead, and are not measures.
select
  instant,
  date(instant, 'Europe/Paris') as day,
  step_minutes,
  nature,
  {{ (shared_columns + real_time_columns) | join(',\n  ') }}
from all_steps
where consumption_mw is not null and instant <= current_timestamp()
