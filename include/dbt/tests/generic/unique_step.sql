{#- An instant has one step, among those that the table's last build made (a month is rebuilt whole). -#}
{% test unique_step(model, column_name) %}
select
  {{ column_name }},
  count(*) as steps
from {{ model }}
where {{ rebuilt_by_last_build('day', model.identifier) }}
group by {{ column_name }}
having count(*) > 1
{% endtest %}
