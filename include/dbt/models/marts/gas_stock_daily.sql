{{ config(cluster_by=['storage_point']) }}

with stocks as (
  select
    day,
    storage_point,
    stock_gwh
  from {{ ref('stg_odre__gas_stock') }}
  where stock_gwh is not null
  union all
  select
    day,
    'France' as storage_point,
    stock_gwh
  from {{ ref('int_gas_stock_national') }}
),

stocks_with_row_before as (
  select
    day,
    storage_point,
    stock_gwh,
    lag(day) over (by_day) as day_before,
    lag(stock_gwh) over (by_day) as stock_before_gwh
  from stocks
  window by_day as (
    partition by storage_point
    order by day
  )
)

select
  stocks.day,
  stocks.storage_point,
  stocks.stock_gwh,
  -- Over a hole the difference would be the flow of several days.
  if(date_diff(stocks.day, stocks.day_before, day) = 1, round(stocks.stock_gwh - stocks.stock_before_gwh, 6), null)
    as flow_gwh,
  if(stocks.storage_point = 'France', 100 * stocks.stock_gwh / capacities.capacity_gwh, null) as fullness_pct
from stocks_with_row_before as stocks
left join {{ ref('gas_capacity') }} as capacities
  on stocks.day >= capacities.valid_from and (capacities.valid_to is null or stocks.day <= capacities.valid_to)
