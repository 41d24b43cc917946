select
  date(creation_time, 'Europe/Paris') as day,
  (select nullif(value, '') from unnest(labels) where key = 'dag') as dag,
  (select nullif(value, '') from unnest(labels) where key = 'task') as task,
  count(*) as jobs,
  coalesce(sum(total_bytes_billed), 0) as bytes_billed
from {{ bigquery_jobs() }}
where
  job_type = 'QUERY'
  -- A script's own figure holds those of its statements.
  and parent_job_id is null
group by day, dag, task
