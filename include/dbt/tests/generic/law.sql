{#-
  A condition that every row obeys. A null is not a breach: what is absent breaks no law. With `rebuilt_only`, of a table
  that is built by months: the rows that its last build made, so that a test costs no more as history grows.
-#}
{% test law(model, holds, rebuilt_only=false) %}
select *
from {{ model }}
where
  not ({{ holds }})
  {% if rebuilt_only %}and {{ rebuilt_by_last_build('day', model.identifier) }}{% endif %}
{% endtest %}
