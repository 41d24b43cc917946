{#- How answers are worded, in both languages: {language: words}. -#}

{#- Sources in the short form of a list. -#}
{% macro source_words() %}
  {{ return({
    'nuclear': {'en': 'nuclear', 'fr': 'nucléaire'},
    'wind': {'en': 'wind', 'fr': 'éolien'},
    'solar': {'en': 'solar', 'fr': 'solaire'},
    'hydro': {'en': 'hydro', 'fr': 'hydraulique'},
    'gas': {'en': 'gas', 'fr': 'gaz'},
    'coal': {'en': 'coal', 'fr': 'charbon'},
    'oil': {'en': 'oil', 'fr': 'fioul'},
    'bioenergy': {'en': 'bioenergy', 'fr': 'bioénergies'}
  }) }}
{% endmacro %}

{#- Words by what was found; `finding` is a column or expression. -#}
{% macro by_finding(finding, positive, negative, neither, unknown) -%}
  case {{ finding }}
    when 'positive' then '{{ positive }}'
    when 'negative' then '{{ negative }}'
    when 'none' then '{{ neither }}'
    else '{{ unknown }}'
  end
{%- endmacro %}

{#- What something does when temperature or fullness is greater: the words between the two. -#}
{% macro verb(finding, language) -%}
  {%- if language == 'fr' -%}
    {{ by_finding(finding, 'augmente avec', 'diminue quand augmente', 'n’a pas de lien clair avec', 'n’a pas assez de données face à') }}
  {%- else -%}
    {{ by_finding(finding, 'rises with', 'falls with', 'shows no clear link with', 'has not enough data beside') }}
  {%- endif -%}
{%- endmacro %}

{#- A correlation with its interval, of the columns `<name>_r`, `<name>_low` and `<name>_high`. -#}
{% macro correlation_text(name, language) -%}
  coalesce(
    concat(
      'r = ', {{ number_text(name ~ '_r', 2, language) }}, ' (', {{ number_text(name ~ '_low', 2, language) }},
      '{{ " à " if language == "fr" else " to " }}', {{ number_text(name ~ '_high', 2, language) }}, ')'
    ),
    '{{ "sans chiffre" if language == "fr" else "no figure" }}'
  )
{%- endmacro %}

{#- A percentage. -#}
{% macro percent_text(value, language) -%}
  concat({{ number_text(value, 1, language) }}, '{{ "\\u202f" if language == "fr" else " " }}%')
{%- endmacro %}

{#- A day. -#}
{% macro day_text(day, language) -%}
  format_date('{{ "%d/%m/%Y" if language == "fr" else "%F" }}', {{ day }})
{%- endmacro %}
