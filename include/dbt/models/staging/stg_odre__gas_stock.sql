select
  date as day,
  trim(pits) as storage_point,
  trim(source) as operator,
  stock_fin_de_journee as stock_gwh
from {{ source('odre', 'stock_quotidien_stockages_gaz') }}
