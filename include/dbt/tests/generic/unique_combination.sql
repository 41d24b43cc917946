{#- Several columns that together name a row: no two rows have the same. -#}
{% test unique_combination(model, columns) %}
select
  {{ columns | join(', ') }},
  count(*) as rows_with_this_key
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
