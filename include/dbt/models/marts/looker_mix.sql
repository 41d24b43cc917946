{{ config(materialized='view') }}

select
  day,
  {{ season_name('day') }} as season,
  source,
  source in ('nuclear', 'wind', 'solar', 'hydro', 'bioenergy') as is_low_carbon,
  source in ('wind', 'solar', 'hydro', 'bioenergy') as is_renewable,
  energy_mwh / 1000 as energy_gwh,
  is_complete
from {{ ref('energy_mix_daily') }}
