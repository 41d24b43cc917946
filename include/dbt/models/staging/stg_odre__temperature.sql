-- Labels of regions changed over time: the code is what joins, and the seed has the name.
select
  date as day,
  trim(code_insee_region) as region_code,
  tmoy as temperature_mean_c,
  tmin as temperature_min_c,
  tmax as temperature_max_c
from {{ source('odre', 'temperature_quotidienne_regionale') }}
