select
  day,
  temperature_mean_c,
  temperature_min_c,
  temperature_max_c,
  if(temperature_mean_c < {{ var('heating_base_c') }}, {{ var('heating_base_c') }} - temperature_mean_c, 0)
    as heating_degree_days,
  case
    when temperature_mean_c <= {{ var('cold_at_most_c') }} then 'cold'
    when temperature_mean_c > {{ var('hot_above_c') }} then 'hot'
    else 'average'
  end as category
from {{ ref('int_temperature_national') }}
