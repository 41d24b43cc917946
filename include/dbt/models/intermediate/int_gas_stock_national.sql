-- Operators publish on different days: a sum over those that happen to be there would drop by 30 TWh. A day has a
-- national stock only when every storage point expected on that day is there.
with stocks as (
  select
    day,
    storage_point,
    stock_gwh
  from {{ ref('stg_odre__gas_stock') }}
  where stock_gwh is not null
),

days as (
  select distinct day from stocks
),

expected_points as (
  select
    days.day,
    points.storage_point
  from days
  inner join {{ ref('gas_storage_points') }} as points
    on days.day >= points.valid_from and (points.valid_to is null or days.day <= points.valid_to)
)

select
  expected_points.day,
  -- The source has six decimals; beyond them a sum of floating-point numbers depends on its order.
  round(sum(stocks.stock_gwh), 6) as stock_gwh
from expected_points
left join stocks
  on expected_points.day = stocks.day and expected_points.storage_point = stocks.storage_point
group by expected_points.day
having count(*) = count(stocks.stock_gwh)
