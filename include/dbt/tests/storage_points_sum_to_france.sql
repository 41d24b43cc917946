-- The national stock is the sum of the points of its day, none left out and none counted twice.
with national as (
  select
    day,
    stock_gwh
  from {{ ref('gas_stock_daily') }}
  where storage_point = 'France'
),

points as (
  select
    stocks.day,
    sum(stocks.stock_gwh) as stock_gwh
  from {{ ref('gas_stock_daily') }} as stocks
  inner join {{ ref('gas_storage_points') }} as expected
    on
      stocks.storage_point = expected.storage_point
      and stocks.day >= expected.valid_from
      and (expected.valid_to is null or stocks.day <= expected.valid_to)
  group by stocks.day
)

select
  national.day,
  national.stock_gwh,
  points.stock_gwh as sum_of_points_gwh
from national
left join points on national.day = points.day
where points.stock_gwh is null or abs(national.stock_gwh - points.stock_gwh) > 0.001
