{#- Periods of the year that are not the calendar's, each as an expression on a day: written once. -#}

{#- First day of the meteorological season: December, March, June, September. -#}
{% macro season_start(day) -%}
  date_sub(date_trunc(date_add({{ day }}, interval 1 month), quarter), interval 1 month)
{%- endmacro %}

{#- Season of a day: winter is December to February. -#}
{% macro season_name(day) -%}
  ['winter', 'spring', 'summer', 'autumn'][safe_offset(div(mod(extract(month from {{ day }}), 12), 3))]
{%- endmacro %}

{#- Year of a meteorological season: that of its last day, so a winter has the year of its January. -#}
{% macro season_year(day) -%}
  extract(year from date_add({{ day }}, interval 1 month))
{%- endmacro %}

{#- April to October: when gas goes into the storages. In the other months it is withdrawn. -#}
{% macro is_injection(day) -%}
  extract(month from {{ day }}) between 4 and 10
{%- endmacro %}

{#- First day of the gas campaign: April for injection, November for withdrawal. -#}
{% macro campaign_start(day) -%}
  if(
    {{ is_injection(day) }},
    date_add(date_trunc({{ day }}, year), interval 3 month),
    date_add(date_trunc(date_sub({{ day }}, interval 3 month), year), interval 10 month)
  )
{%- endmacro %}

{#- Hours of the civil days from the first to the last: 23 and 25 a day when clocks change. -#}
{% macro civil_hours(first_day, last_day) -%}
  timestamp_diff(
    timestamp(date_add({{ last_day }}, interval 1 day), 'Europe/Paris'), timestamp({{ first_day }}, 'Europe/Paris'), hour
  )
{%- endmacro %}
