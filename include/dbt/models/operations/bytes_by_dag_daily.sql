with labelled as (
  select
    jobs.total_bytes_billed,
    date(jobs.creation_time, 'Europe/Paris') as day,
    (
      select nullif(given.value, '')
      from unnest(jobs.labels) as given
      where given.key = 'dag'
    ) as dag_id,
    (
      select nullif(given.value, '')
      from unnest(jobs.labels) as given
      where given.key = 'task'
    ) as task_id
  from {{ bigquery_jobs() }} as jobs
  where
    jobs.job_type = 'QUERY'
    -- A script's own figure holds those of its statements.
    and jobs.parent_job_id is null
)

select
  day,
  dag_id,
  task_id,
  count(*) as jobs,
  coalesce(sum(total_bytes_billed), 0) as bytes_billed
from labelled
group by day, dag_id, task_id
