-- Half-hour and quarter-hour measures are never mixed inside a period: real time begins where consolidation ends.
with steps as (
  select
    instant,
    step_minutes
  from {{ ref('power_steps') }}
  where {{ rebuilt_by_last_build('day') }}
)

select
  max(if(step_minutes = 30, instant, null)) as last_consolidated,
  min(if(step_minutes = 15, instant, null)) as first_real_time
from steps
having last_consolidated >= first_real_time
