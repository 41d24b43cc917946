with labelled as (
  select
    date(creation_time, 'Europe/Paris') as day,
    (select nullif(label.value, '') from unnest(labels) as label where label.key = 'dag') as dag,
    (select nullif(label.value, '') from unnest(labels) as label where label.key = 'task') as task,
    total_bytes_billed
  from {{ bigquery_jobs() }}
  where
    job_type = 'QUERY'
    -- A script's own figure holds those of its statements.
    and parent_job_id is null
)

select
  day,
  dag,
  task,
  count(*) as jobs,
  coalesce(sum(total_bytes_billed), 0) as bytes_billed
from labelled
group by day, dag, task
