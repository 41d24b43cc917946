-- The bound satisfies the required partition filter and leaves nothing out: whoever reads this view bounds `instant`
-- more narrowly, and BigQuery prunes the raw partitions by both.
select
  {{ eco2mix_columns() }}
from {{ source('odre', 'eco2mix_national_cons_def') }}
where date_heure >= timestamp '{{ var('first_day') }}'
