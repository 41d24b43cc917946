{#- Datasets carry exactly the name that the project gives them, behind DATASET_PREFIX (a developer's own set). -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- if custom_schema_name is none -%}
    {{ target.schema }}
  {%- else -%}
    {{ env_var('DATASET_PREFIX', '') }}{{ custom_schema_name | trim }}
  {%- endif -%}
{%- endmacro %}
