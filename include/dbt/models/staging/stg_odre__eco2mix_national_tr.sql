-- The bound satisfies the required partition filter and leaves nothing out: whoever reads this view bounds `instant`
-- more narrowly, and BigQuery prunes the raw partitions by both.
select
  {{ eco2mix_columns() }},
  eolien_terrestre as wind_onshore_mw,
  eolien_offshore as wind_offshore_mw,
  stockage_batterie as battery_charge_mw,
  destockage_batterie as battery_discharge_mw
from {{ source('odre', 'eco2mix_national_tr') }}
where date_heure >= timestamp '{{ var('first_day') }}'
