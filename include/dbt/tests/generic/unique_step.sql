{#- An instant has one step, among those that the last build of `power_steps` made (a month is rebuilt whole). -#}
{% test unique_step(model, column_name) %}
select
  {{ column_name }},
  count(*) as steps
from {{ model }}
where {{ rebuilt_by_last_build('day') }}
group by {{ column_name }}
having count(*) > 1
{% endtest %}
