{{ config(severity='warn') }}
-- Sub-technologies sum to their source. The source rounds each to a MW and is off by more on some hours: a warning,
-- where a whole day is off by more than 2 % and 500 MWh.
with details as (
  select
    day,
    source,
    sum(energy_mwh) as energy_mwh
  from {{ ref('energy_mix_detail_daily') }}
  group by day, source
  having logical_and(is_complete)
)

select
  details.day,
  details.source,
  details.energy_mwh as sum_of_details_mwh,
  mix.energy_mwh
from details
inner join {{ ref('energy_mix_daily') }} as mix on details.day = mix.day and details.source = mix.source
where abs(details.energy_mwh - mix.energy_mwh) > greatest(500, 0.02 * mix.energy_mwh)
