{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    on_schema_change='append_new_columns',
    partition_by={'field': 'day', 'data_type': 'date', 'granularity': 'month'},
    post_hook='{{ remember_power_steps_build() }}'
) }}

{#- From the raw tables themselves, and what they keep of earlier values; by the months of a plan of its own. -#}
{%- set plan = power_steps_plan('power_revisions') %}
{%- set quantities = ['consumption'] + production_sources() %}
{#- In the order in which the source publishes: real time, and months later the consolidated figure. -#}
{%- set tables = [
    ('real_time_replaced', 'eco2mix_national_tr_replaced', 1, 'false'),
    ('real_time', 'eco2mix_national_tr', 1, "date_heure >= timestamp '" ~ plan.real_time_from ~ "'"),
    ('consolidated_replaced', 'eco2mix_national_cons_def_replaced', 2, 'false'),
    ('consolidated', 'eco2mix_national_cons_def', 2, 'true')
] %}

{{ note_of_plan(plan) }}
with
{% for name, table, publication_rank, is_in_force in tables %}
  {{ name }} as (
    select
      {{ eco2mix_columns() }},
      _loaded_at as loaded_at,
      {{ publication_rank }} as publication_rank,
      {{ is_in_force }} as is_in_force
    from {{ source('odre', table) }}
    where
      {{ instant_in_plan(plan, 'date_heure') }}
      -- Forecasts are not figures, as in power_steps.
      and consommation is not null
      and date_heure <= current_timestamp()
      {% if publication_rank == 2 %}and extract(minute from date_heure) in (0, 30){% endif %}
  ),

{% endfor %}
published as (
  select * from real_time_replaced
  union all
  select * from real_time
  union all
  select * from consolidated_replaced
  union all
  select * from consolidated
),

numbered as (
  select
    *,
    row_number() over (
      partition by instant
      order by publication_rank, loaded_at
    ) as publication
  from published
)

select
  instant,
  date(instant, 'Europe/Paris') as day,
  max(if(publication = 1, nature, null)) as first_nature,
  max(if(is_in_force, nature, null)) as current_nature,
  {% for quantity in quantities %}
    max(if(publication = 1, {{ quantity }}_mw, null)) as {{ quantity }}_first_mw,
    max(if(is_in_force, {{ quantity }}_mw, null)) as {{ quantity }}_current_mw,
    max(if(is_in_force, {{ quantity }}_mw, null)) - max(if(publication = 1, {{ quantity }}_mw, null))
      as {{ quantity }}_difference_mw{% if not loop.last %},{% endif %}
  {% endfor %}
from numbered
group by instant
having
  countif(is_in_force) = 1
  and (
    {% for quantity in quantities %}
      min({{ quantity }}_mw) != max({{ quantity }}_mw)
      or count({{ quantity }}_mw) not in (0, count(*)){{ ' or' if not loop.last }}
    {% endfor %}
  )
