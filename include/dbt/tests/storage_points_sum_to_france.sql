-- The national stock is a sum of that day's points, none counted twice. (A point that the seed does not know adds
-- nothing to it until it is entered there: the relationship test of staging warns of it.)
with national as (
  select
    day,
    stock_gwh
  from {{ ref('gas_stock_daily') }}
  where storage_point = 'France'
),

points as (
  select
    day,
    sum(stock_gwh) as stock_gwh
  from {{ ref('gas_stock_daily') }}
  where storage_point != 'France'
  group by day
)

select
  national.day,
  national.stock_gwh,
  points.stock_gwh as sum_of_points_gwh
from national
left join points on national.day = points.day
where points.stock_gwh is null or national.stock_gwh > points.stock_gwh + 0.001
