{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    on_schema_change='append_new_columns',
    partition_by={'field': 'day', 'data_type': 'date', 'granularity': 'month'},
    post_hook='{{ remember_power_steps_build() }}'
) }}

-- Which months are rebuilt, and from which loads, is decided by macro power_steps_plan.
select
  instant,
  day,
  step_minutes,
  nature,
  {{ (shared_step_columns() + real_time_step_columns()) | join(',\n  ') }}
from {{ ref('int_power_steps') }}
