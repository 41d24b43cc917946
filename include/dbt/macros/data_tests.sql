{#-
  dbt's own macro of this name, for every data test. All of them run once a day, which is what a build's DATA_TESTS says;
  on the builds between those of keys alone do. The others answer then without a look at a table: they cost nothing, and
  each test has its result all the same, which Cosmos waits for.
-#}
{% macro bigquery__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
  {%- set is_of_a_key = model.test_metadata and model.test_metadata.name in var('key_tests') -%}
  {%- if is_of_a_key or env_var('DATA_TESTS', 'all') != 'keys' -%}
    {{ dbt.default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) }}
  {%- else -%}
    select
      0 as failures,
      false as should_warn,
      false as should_error
  {%- endif -%}
{%- endmacro %}
