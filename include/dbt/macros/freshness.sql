{#-
  When a dataset was last loaded, from the ledger: `_loaded_at` of the raw tables says when values last changed, and
  a source that is read each hour without a change is not stale.
-#}
{% macro last_load(dataset) -%}
  select max(loaded_at) from {{ source('ops', 'loads') }}
  where dataset = '{{ dataset }}'
{%- endmacro %}
