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

{#- Columns of some links, {name: condition}, in one row: `<name>` with what was found, and its r with both bounds. -#}
{% macro links_as_columns(conditions) -%}
  {%- for name, condition in conditions.items() %}
    max(if({{ condition }}, finding, null)) as {{ name }},
    max(if({{ condition }}, r, null)) as {{ name }}_r,
    max(if({{ condition }}, r_low, null)) as {{ name }}_low,
    max(if({{ condition }}, r_high, null)) as {{ name }}_high{{ ',' if not loop.last }}
  {%- endfor %}
{%- endmacro %}

{#- What something does when temperature is higher: the end of a clause. -#}
{% macro with_temperature(finding, language) -%}
  {%- if language == 'fr' -%}
    {{ by_finding(finding, 'augmente avec la température', 'diminue quand la température augmente',
      'n’a pas de lien clair avec la température', 'n’a pas assez de jours indépendants pour être jugé') }}
  {%- else -%}
    {{ by_finding(finding, 'rises with temperature', 'falls as temperature rises', 'shows no clear link with temperature',
      'has too few independent days to be judged') }}
  {%- endif -%}
{%- endmacro %}

{#- How strong the link `<name>` is, in brackets, as `reading` has it; nothing where there is none. -#}
{% macro strength_text(name, language) -%}
  {%- set words = {
    'en': ['weak link', 'moderate link', 'strong link'], 'fr': ['lien faible', 'lien moyen', 'lien fort']
  }[language] -%}
  case
    when {{ name }} not in ('positive', 'negative') then ''
    when abs({{ name }}_r) < {{ var('moderate_from_r') }} then ' ({{ words[0] }})'
    when abs({{ name }}_r) < {{ var('strong_from_r') }} then ' ({{ words[1] }})'
    else ' ({{ words[2] }})'
  end
{%- endmacro %}

{#- Why there is no answer to a question of two series: too short, or too slow for their length. -#}
{% macro too_little_text(days, language) -%}
  {%- if language == 'fr' -%}
    if(
      coalesce({{ days }}, 0) < {{ var('least_days_beside_season') }},
      'Avec moins de deux ans des deux, la saison et l’influence ne se distinguent pas.',
      'Ces séries varient si lentement que leurs jours en valent trop peu d’indépendants.'
    )
  {%- else -%}
    if(
      coalesce({{ days }}, 0) < {{ var('least_days_beside_season') }},
      'With less than two years of both, season and influence cannot be told apart.',
      'These series change so slowly that their days are worth too few independent ones.'
    )
  {%- endif -%}
{%- endmacro %}

{#- A number of days. French has the singular below two. -#}
{% macro days_text(days, language) -%}
  concat(
    {{ number_text(days, 0, language) }},
    {% if language == 'fr' %}if({{ days }} < 2, ' jour', ' jours'){% else %}if({{ days }} = 1, ' day', ' days'){% endif %}
  )
{%- endmacro %}

{#- The spaces before French signs do not break, so that no line begins with a sign: thin before `;` and `?`, whole before `:`. -#}
{% macro french_spaces(text) -%}
  replace(replace(replace({{ text }}, ' ;', '\u202f;'), ' ?', '\u202f?'), ' :', '\u00a0:')
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
  concat({{ number_text(value, 1, language) }}, '{{ "\\u202f" if language == "fr" else "\\u00a0" }}%')
{%- endmacro %}

{#- A day. -#}
{% macro day_text(day, language) -%}
  format_date('{{ "%d/%m/%Y" if language == "fr" else "%F" }}', {{ day }})
{%- endmacro %}

{#- The languages of the answers. -#}
{% macro languages() %}
  {{ return(['en', 'fr']) }}
{% endmacro %}

{#- What is said where nothing can be. -#}
{% macro not_enough(language) -%}
  {{ {'en': 'Not enough data.', 'fr': 'Pas assez de données.'}[language] }}
{%- endmacro %}

{#- Query: one row a source, with its name in each language. -#}
{% macro source_names() %}
  select *
  from
    unnest([
      {%- for source, words in source_words().items() %}
        struct('{{ source }}' as source, '{{ words.en }}' as name_en, '{{ words.fr }}' as name_fr){{ ',' if not loop.last }}
      {%- endfor %}
    ])
{% endmacro %}

{#-
  Query: the relationships over all years and seasons, each with its `finding`. A link is worth a word where its interval
  leaves 0 out and |r| is at least `weak_from_r`.
-#}
{% macro links_with_finding() %}
  select
    *,
    case
      when direction is null then 'unknown'
      when abs(r) < {{ var('weak_from_r') }} then 'none'
      else direction
    end as finding
  from {{ ref('relationships') }}
  where period = 'all' and season_filter = 'all'
{% endmacro %}

{#- Query: the first and the last day under a condition. -#}
{% macro span_of_days(condition) %}
  select
    min(if({{ condition }}, day, null)) as first_day,
    max(if({{ condition }}, day, null)) as last_day
  from {{ ref('energy_climate_daily') }}
{% endmacro %}
