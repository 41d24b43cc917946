{#- A condition that every row obeys. A null is not a breach: what is absent breaks no law. -#}
{% test law(model, holds) %}
select * from {{ model }}
where not ({{ holds }})
{% endtest %}
