{#-
  The comment of every query, and so the labels of its job: the DAG, the task and the dataset that a query is of. Airflow
  tells a task's processes the first two; outside of it they are empty. `node` is none for queries of dbt's own.
-#}
{% macro job_labels(node) %}
  {%- do return(tojson({
      'app': 'dbt',
      'dag': env_var('AIRFLOW_CTX_DAG_ID', ''),
      'task': env_var('AIRFLOW_CTX_TASK_ID', '') | replace('.', '-'),
      'dataset': node.schema if node else target.schema,
      'node_id': node.unique_id if node else ''
  })) -%}
{% endmacro %}

{#-
  Each job of the project in BigQuery's own list, 180 days of it. The emulator's list has neither labels nor bytes: there
  the same columns, and no row.
-#}
{% macro bigquery_jobs() -%}
  {%- if target.name == 'google' -%}
    `{{ target.project }}`.`region-{{ target.location | lower }}`.INFORMATION_SCHEMA.JOBS
  {%- else -%}
    (
      select
        timestamp '1970-01-01' as creation_time,
        'QUERY' as job_type,
        cast(null as string) as parent_job_id,
        cast(null as int64) as total_bytes_billed,
        [struct('' as key, '' as value)] as labels
      limit 0
    )
  {%- endif -%}
{%- endmacro %}
