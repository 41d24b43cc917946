{#-
  Instants are quarter-hours, and none is there twice. From the first month on that the last build of `power_steps` made, so
  that it costs no more as history grows: what a load brings to an older month is tested there, once it is built.
-#}
{% test quarter_hour_once(model, column_name) %}
select
  {{ column_name }},
  count(*) as rows_with_it
from {{ model }}
where {{ instant_since_last_build(column_name) }}
group by {{ column_name }}
having count(*) > 1 or mod(unix_seconds({{ column_name }}), 900) != 0
{% endtest %}
