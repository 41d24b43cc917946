{{ config(materialized='view') }}

with classified as (
  select
    *,
    source in ('wind', 'solar', 'hydro', 'bioenergy') as is_renewable
  from {{ ref('energy_mix_daily') }}
)

select
  day,
  {{ season_name('day') }} as season,
  source,
  is_renewable or source = 'nuclear' as is_low_carbon,
  is_renewable,
  energy_mwh / 1000 as energy_gwh,
  is_complete
from classified
