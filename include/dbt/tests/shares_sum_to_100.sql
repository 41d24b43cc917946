-- Shares are of the sum of the eight productions, so a day's shares make 100 %; where one is unknown, all are.
select
  day,
  sum(share_pct) as total_pct
from {{ ref('energy_mix_daily') }}
group by day
having abs(total_pct - 100) > 1e-6 or count(share_pct) not in (0, count(*))
