{#- What the gas stock and its flow have to do with temperature, raw and beyond the season. -#}
{{ config(materialized='ephemeral') }}

with links as ({{ links_with_finding() }}),

days as ({{ span_of_days('temperature_mean_c is not null and gas_stock_gwh is not null') }}),

gas as (
  select
    max(if(y = 'gas_stock_gwh' and method = 'raw', n, null)) as days,
    {{ links_as_columns({
      'stock_raw': "y = 'gas_stock_gwh' and method = 'raw'",
      'stock_beyond': "y = 'gas_stock_gwh' and method = 'deseasonalised'",
      'stock_trailing': "y = 'gas_stock_gwh' and method = 'trailing_mean' and lag_days = 120",
      'flow_raw': "y = 'gas_flow_gwh' and method = 'raw'",
      'flow_beyond': "y = 'gas_flow_gwh' and method = 'deseasonalised'"
    }) }}
  from links
  where question = 2
)

select
  {% for language in languages() %}
    {%- set words = {
      'en': ['Beyond the season, the gas stock ', ', and the daily flow of gas into storage ', '.',
        'Stock: ', ' raw, ', ' beyond the season, ', ' against the mean temperature of 120 days; flow: ',
        ' beyond the season; ', '.'],
      'fr': ['Hors effet de saison, le stock de gaz ', ', et le flux journalier de gaz vers les stockages ', '.',
        'Stock : ', ' brut, ', ' hors saison, ', ' avec la température moyenne de 120 jours ; flux : ',
        ' hors saison ; ', '.']
    }[language] %}
    if(
      gas.stock_beyond = 'unknown' and gas.flow_beyond = 'unknown',
      '{{ not_enough(language) }}',
      concat(
        '{{ words[0] }}', {{ with_temperature('gas.stock_beyond', language) }},
        {{ strength_text('gas.stock_beyond', language) }}, '{{ words[1] }}',
        {{ with_temperature('gas.flow_beyond', language) }}, {{ strength_text('gas.flow_beyond', language) }},
        '{{ words[2] }}'
      )
    ) as answer_{{ language }},
    concat(
      '{{ words[3] }}', {{ correlation_text('gas.stock_raw', language) }}, '{{ words[4] }}',
      {{ correlation_text('gas.stock_beyond', language) }}, '{{ words[5] }}',
      {{ correlation_text('gas.stock_trailing', language) }}, '{{ words[6] }}',
      {{ correlation_text('gas.flow_raw', language) }}, '{{ words[4] }}',
      {{ correlation_text('gas.flow_beyond', language) }}, '{{ words[7] }}', {{ days_text('gas.days', language) }},
      '{{ words[8] }}'
    ) as figures_{{ language }},
  {% endfor %}
  {% for language in languages() %}
    {%- set words = {
      'en': ['Raw, the stock ', ' and the flow ', ': all three follow the seasons.',
        'Raw figures and those beyond the season agree; a link is not yet a cause.'],
      'fr': ['Sans retirer la saison, le stock ', ' et le flux ', ' : tous trois suivent les saisons.',
        'Chiffres bruts et hors saison concordent ; un lien n’est pas encore une cause.']
    }[language] %}
    case
      when gas.stock_beyond = 'unknown' and gas.flow_beyond = 'unknown' then {{ too_little_text('gas.days', language) }}
      when gas.stock_raw != gas.stock_beyond or gas.flow_raw != gas.flow_beyond
        then concat(
          '{{ words[0] }}', {{ with_temperature('gas.stock_raw', language) }}, '{{ words[1] }}',
          {{ with_temperature('gas.flow_raw', language) }}, '{{ words[2] }}'
        )
      else '{{ words[3] }}'
    end as caveat_{{ language }},
  {% endfor %}
  2 as question,
  days.first_day as period_start,
  days.last_day as period_end
from gas
cross join days
