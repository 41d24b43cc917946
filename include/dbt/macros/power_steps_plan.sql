{#-
  What a build of a table that is made of steps, by whole months, has to do (`power_steps`, and `power_revisions`, each
  of which goes on from its own last build): a dictionary with

    ranges              half-open ranges of Paris months to rebuild, each {first_day, end_day, start, end}: the days,
                        and the same bounds as instants
    consolidated_until  instant of the last consolidated step with a measured consumption, or none
    real_time_from      instant from which real time counts: 30 minutes after it, or the beginning of all
    loads_until         commit time of the last load that the build knows of, microseconds since 1970 UTC
    loads               marks of the loads that it knows of at that time and shortly before, joined by commas
    logic               hash of the SQL that makes the rows

  The months are those that loads touched which the last build did not know, so the constant bounds that reach the raw
  tables do not widen as history grows; and the month of the newest measure, so that a cleared task does real work.
  Everything is rebuilt where there is nothing to go on from: on the first build, a full refresh, without memory of the
  last build, where rows came or went since it, where the logic changed, and where consolidated figures came to be for
  the first time or are no more.

  The plan is made once, before the query is written, and travels in the query's own text (`note_of_plan`): what the
  query reads, the months that it replaces and what is remembered afterwards cannot disagree, whatever is loaded
  meanwhile. It is remembered after the months were replaced: a build that dies in between is made again.
-#}
{% macro power_steps_plan(table='power_steps') %}
  {%- set everything = {
      'first_day': var('first_day'), 'end_day': '2100-01-01',
      'start': var('first_day') ~ ' 00:00:00+00', 'end': '2100-01-01 00:00:00+00'
  } -%}
  {%- set ledger = source('ops', 'loads') -%}
  {#- While the project is parsed, or compiled where `prepare` has not made the tables yet: there is nothing to ask. -#}
  {%- if not execute or adapter.get_relation(ledger.database, ledger.schema, ledger.identifier) is none -%}
    {{ return({
        'ranges': [everything], 'consolidated_until': none, 'real_time_from': everything.start,
        'loads_until': '0', 'loads': '', 'logic': ''
    }) }}
  {%- endif -%}

  {%- set logic = power_steps_logic(table) -%}
  {%- set last_build = last_power_steps_build(table) -%}
  {%- set switch = find_switch(last_build.consolidated_until) -%}
  {%- set consolidated_until = switch.consolidated_until -%}
  {%- set goes_on = last_build and not flags.FULL_REFRESH
      and last_build.logic == logic
      and last_build.steps == last_build.steps_then
      and (last_build.consolidated_until is none) == (consolidated_until is none) -%}

  {%- set touched_sql -%}
    with loads as (
      select
        loaded_at,
        high_water,
        coalesce(window_start, first_time) as touched_from,
        coalesce(window_end, last_time) as touched_until,
        cast(farm_fingerprint(to_json_string(struct(
          dataset as dataset, run_id as run_id, chunk as chunk, content_sha256 as content_sha256, loaded_at as loaded_at
        ))) as string) as mark
      from {{ ledger }}
      where
        dataset in ('eco2mix-national-tr', 'eco2mix-national-cons-def')
        {%- if goes_on %}
        -- A load is stamped when its transaction begins and seen when that ends: look a little further back.
        and loaded_at >= timestamp_sub(timestamp_micros({{ last_build.loads_until }}), interval 15 minute)
        {%- endif %}
    ),

    newest as (
      select
        max(loaded_at) as loaded_at,
        max(high_water) as high_water
      from loads
    ),

    known as (
      select string_agg(loads.mark, ',' order by loads.mark) as marks
      from loads
      cross join newest
      where loads.loaded_at >= timestamp_sub(newest.loaded_at, interval 15 minute)
    ),

    spans as (
      select
        touched_from,
        touched_until
      from loads
      where mark not in unnest(split('{{ last_build.loads if goes_on }}'))
      union all
      select
        high_water as touched_from,
        high_water as touched_until
      from newest
      {%- if goes_on and last_build.consolidated_until != consolidated_until %}
      union all
      -- Real-time steps between the old switch and the new one go, or come back.
      select
        timestamp '{{ [last_build.consolidated_until, consolidated_until] | min }}' as touched_from,
        timestamp '{{ [last_build.consolidated_until, consolidated_until] | max }}' as touched_until
      {%- endif %}
    ),

    months as (
      select distinct first_of_month
      from spans
      cross join
        unnest(generate_date_array(
          date_trunc(date(touched_from, 'Europe/Paris'), month), date(touched_until, 'Europe/Paris'), interval 1 month
        )) as first_of_month
      where touched_from is not null and touched_until is not null
    ),

    numbered as (
      select
        first_of_month,
        row_number() over (order by first_of_month) as number
      from months
    ),

    ranges as (
      -- Months that follow each other have the same distance to their number.
      select
        min(first_of_month) as first_day,
        date_add(max(first_of_month), interval 1 month) as end_day
      from numbered
      group by date_sub(first_of_month, interval number month)
    )

    select
      cast(ranges.first_day as string) as first_day,
      cast(ranges.end_day as string) as end_day,
      format_timestamp('%F %T+00', timestamp(ranges.first_day, 'Europe/Paris'), 'UTC') as start_instant,
      format_timestamp('%F %T+00', timestamp(ranges.end_day, 'Europe/Paris'), 'UTC') as end_instant,
      coalesce(cast(unix_micros(newest.loaded_at) as string), '0') as loads_until,
      coalesce(known.marks, '') as loads
    from newest
    cross join known
    left join ranges on true
    order by first_day
  {%- endset -%}

  {%- set rows = run_query(touched_sql).rows -%}
  {%- set ranges = [] -%}
  {%- if goes_on -%}
    {%- for row in rows if row['first_day'] is not none -%}
      {%- do ranges.append({
          'first_day': row['first_day'], 'end_day': row['end_day'],
          'start': row['start_instant'], 'end': row['end_instant']
      }) -%}
    {%- endfor -%}
  {%- else -%}
    {%- do ranges.append(everything) -%}
  {%- endif -%}
  {{ return({
      'ranges': ranges, 'consolidated_until': consolidated_until,
      'real_time_from': switch.real_time_from or everything.start,
      'loads_until': rows[0]['loads_until'], 'loads': rows[0]['loads'], 'logic': logic
  }) }}
{% endmacro %}

{#- Where the last build of a table is remembered: one row, replaced after each build. -#}
{% macro power_steps_memory(table) %}
  {{ return(api.Relation.create(
      database=target.project, schema=generate_schema_name('energy_staging', none), identifier=table ~ '_last_build'
  )) }}
{% endmacro %}

{#- The memory of the last build, or an empty dictionary where the table or its memory is gone. -#}
{% macro last_power_steps_build(table) %}
  {%- set memory = power_steps_memory(table) -%}
  {%- set steps = adapter.get_relation(target.project, generate_schema_name('energy', none), table) -%}
  {%- if steps is none or adapter.get_relation(memory.database, memory.schema, memory.identifier) is none -%}
    {{ return({}) }}
  {%- endif -%}
  {#- A memory that an earlier version of the project wrote may lack what this one asks for. -#}
  {%- set columns = adapter.get_columns_in_relation(memory) | map(attribute='name') | list -%}
  {%- if not ('loads' in columns and 'steps' in columns and 'rebuilt_from' in columns) -%}
    {{ return({}) }}
  {%- endif -%}
  {%- set memory_sql -%}
    select
      loads_until,
      loads,
      consolidated_until,
      logic,
      cast(rebuilt_from as string) as rebuilt_from,
      steps as steps_then,
      -- Read from the table's metadata: costs nothing, and tells a table that somebody emptied or restored.
      (select count(*) from {{ steps }}) as steps
    from {{ memory }}
  {%- endset -%}
  {%- set rows = run_query(memory_sql).rows -%}
  {{ return(dict(rows[0]) if rows | length == 1 else {}) }}
{% endmacro %}

{#- Hash of every SQL text that has a say in the rows: history made by another logic is made again. -#}
{% macro power_steps_logic(table) %}
  {%- set names = {
      'power_steps': [
        'stg_odre__eco2mix_national_tr', 'stg_odre__eco2mix_national_cons_def', 'int_power_steps', 'power_steps'
      ],
      'power_revisions': ['power_revisions']
  }[table] -%}
  {%- set texts = [] -%}
  {%- for name in names -%}
    {%- do texts.append(graph.nodes['model.energy.' ~ name].raw_code) -%}
  {%- endfor -%}
  {%- do texts.append(production_sources() | join(',')) -%}
  {%- do texts.append(shared_step_columns() | join(',')) -%}
  {%- do texts.append(real_time_step_columns() | join(',')) -%}
  {%- do texts.append(eco2mix_columns()) -%}
  {{ return(local_md5(texts | join('\n'))) }}
{% endmacro %}

{#-
  Instant of the last consolidated step with a measured consumption, and the one from which real time counts, as
  {consolidated_until, real_time_from}; none where nothing is consolidated. The search starts at the step known already,
  so that it reads a month or two; all of history only where that one is gone.
-#}
{% macro find_switch(known) %}
  {%- for since in ([known] if known else []) + [var('first_day')] -%}
    {%- set search_sql -%}
      select
        format_timestamp('%F %T+00', max(date_heure), 'UTC') as consolidated_until,
        format_timestamp('%F %T+00', timestamp_add(max(date_heure), interval 30 minute), 'UTC') as real_time_from
      from {{ source('odre', 'eco2mix_national_cons_def') }}
      where
        date_heure >= timestamp '{{ since }}'
        and consommation is not null
        and extract(minute from date_heure) in (0, 30)
    {%- endset -%}
    {%- set found = run_query(search_sql).rows[0] -%}
    {%- if found['consolidated_until'] is not none -%}{{ return(dict(found)) }}{%- endif -%}
  {%- endfor -%}
  {{ return({'consolidated_until': none, 'real_time_from': none}) }}
{% endmacro %}

{#- The plan as a comment in the query's text. -#}
{% macro note_of_plan(plan) -%}
/* plan: {{ tojson(plan, sort_keys=true) }} */
{%- endmacro %}

{#- The plan that a query's text carries. -#}
{% macro plan_in(sql) %}
  {{ return(fromjson(modules.re.search('/\\* plan: (.*?) \\*/', sql).group(1))) }}
{% endmacro %}

{#- The plan's ranges as a condition on an instant, with constant bounds; never true where there is nothing to do. -#}
{% macro instant_in_plan(plan, column) -%}
  (
    {%- for range in plan.ranges %}
    {{ 'or ' if not loop.first }}({{ column }} >= timestamp '{{ range.start }}' and {{ column }} < timestamp '{{ range.end }}')
    {%- else %}
    {{ column }} < timestamp '1970-01-01'
    {%- endfor %}
  )
{%- endmacro %}

{#- The same as a condition on a Paris day. -#}
{% macro day_in_plan(plan, column) -%}
  (
    {%- for range in plan.ranges %}
    {{ 'or ' if not loop.first }}({{ column }} >= date '{{ range.first_day }}' and {{ column }} < date '{{ range.end_day }}')
    {%- endfor %}
  )
{%- endmacro %}

{#- After the months were replaced: what the next build goes on from. Run as the table's post-hook. -#}
{% macro remember_power_steps_build() -%}
  {%- if execute -%}
  {%- set plan = plan_in(model.compiled_code) -%}
  create or replace table {{ power_steps_memory(this.identifier) }} as
  select
    '{{ plan.loads_until }}' as loads_until,
    '{{ plan.loads }}' as loads,
    {{ "'" ~ plan.consolidated_until ~ "'" if plan.consolidated_until is not none else 'cast(null as string)' }}
      as consolidated_until,
    '{{ plan.logic }}' as logic,
    {{ "date '" ~ plan.ranges[0].first_day ~ "'" if plan.ranges else 'cast(null as date)' }} as rebuilt_from,
    (select count(*) from {{ this }}) as steps,
    current_timestamp() as built_at
  {%- endif -%}
{%- endmacro %}

{#- Condition on a day: from the first month that a table's last build made, or all where no build is remembered. -#}
{% macro rebuilt_by_last_build(column, table='power_steps') -%}
  {%- set rebuilt_from = last_power_steps_build(table).rebuilt_from if execute -%}
  {{ column }} >= date '{{ rebuilt_from or var('first_day') }}'
{%- endmacro %}

{#- The same for an instant, from that day on in UTC: an hour or two of the month are left out. -#}
{% macro instant_since_last_build(column) -%}
  {%- set rebuilt_from = last_power_steps_build('power_steps').rebuilt_from if execute -%}
  {{ column }} >= timestamp '{{ rebuilt_from or var('first_day') }}'
{%- endmacro %}

{#-
  dbt's own macro of this name, for the models that use insert_overwrite. dbt's replaces the months that the new
  rows fall in; a month whose last step went (real-time steps superseded by a consolidation with a hole) would keep its
  old rows. This one replaces the months of the plan, named by constants, so that BigQuery prunes the table's partitions.
-#}
{% macro bq_insert_overwrite_sql(
    tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists,
    copy_partitions
) %}
  {%- set plan = plan_in(sql) -%}
  {%- if plan.ranges -%}
    {%- set predicate = day_in_plan(plan, 'DBT_INTERNAL_DEST.' ~ partition_by.field) -%}
    {%- set rows -%}(
      {%- if tmp_relation_exists %}select * from {{ tmp_relation }}{% else %}{{ sql }}{% endif -%}
    ){%- endset -%}
    {{ get_insert_overwrite_merge_sql(
        target_relation, rows, dest_columns, [predicate], include_sql_header=not tmp_relation_exists
    ) }};
  {%- else -%}
    select 'No load touched a month since the last build' as note;
  {%- endif -%}
  {%- if tmp_relation_exists %}
    drop table if exists {{ tmp_relation }};
  {%- endif -%}
{% endmacro %}
