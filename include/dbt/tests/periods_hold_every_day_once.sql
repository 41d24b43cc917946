-- Each kind of period holds every day once: whatever the kind, its periods sum to the same. And a period's shares make
-- 100 %. (The days themselves are not asked: a DAG that builds them for another mart would have to build this one too.)
with kinds as (
  select
    period_type,
    source,
    sum(energy_mwh) as energy_mwh,
    sum(measured_hours) as measured_hours
  from {{ ref('energy_mix_period') }}
  group by period_type, source
)

select
  concat('sums of ', source) as what,
  max(energy_mwh) - min(energy_mwh) as excess
from kinds
group by source
having count(*) != 6 or min(measured_hours) != max(measured_hours) or max(energy_mwh) - min(energy_mwh) > 1
union all
select
  concat('shares of ', period) as what,
  sum(share_pct) - 100 as excess
from {{ ref('energy_mix_period') }}
group by period_type, period
having abs(sum(share_pct) - 100) > 1e-6
