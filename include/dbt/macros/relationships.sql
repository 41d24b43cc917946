{#- What the statistics are made of, written once: the pairs that are looked at, and how series are named and grouped. -#}

{#- Which influence (x) each question holds against what (y): columns of `energy_climate_daily`. -#}
{% macro relationship_pairs() %}
  {%- set pairs = [] -%}
  {%- for y in ['gas_stock_gwh', 'gas_flow_gwh'] -%}
    {%- do pairs.append({'question': 2, 'x': 'temperature_mean_c', 'y': y}) -%}
  {%- endfor -%}
  {%- for name in ['consumption'] + production_sources() -%}
    {%- do pairs.append({'question': 3, 'x': 'temperature_mean_c', 'y': name ~ '_mwh'}) -%}
  {%- endfor -%}
  {%- for source in production_sources() -%}
    {%- do pairs.append({'question': 4, 'x': 'gas_fullness_pct', 'y': source ~ '_mwh'}) -%}
  {%- endfor -%}
  {%- for y in exchange_columns() -%}
    {%- do pairs.append({'question': 6, 'x': 'gas_fullness_pct', 'y': y}) -%}
  {%- endfor -%}
  {{ return(pairs) }}
{% endmacro %}

{#- Exchanges at the borders: the physical balance, then commercial ones of all borders together and of each. -#}
{% macro exchange_columns() %}
  {%- set columns = ['physical_exchange_mwh', 'commercial_volume_mwh', 'commercial_import_mwh', 'commercial_export_mwh'] -%}
  {%- for border in borders() -%}
    {%- do columns.extend(['import_' ~ border ~ '_mwh', 'export_' ~ border ~ '_mwh']) -%}
  {%- endfor -%}
  {{ return(columns) }}
{% endmacro %}

{#- Every series of the pairs, once. -#}
{% macro relationship_series() %}
  {{ return((relationship_pairs() | map(attribute='x') | list + relationship_pairs() | map(attribute='y') | list) | unique | list) }}
{% endmacro %}

{#- Days by which an influence may come before what it influences, and days that a trailing mean looks back. -#}
{% macro lags() %}
  {{ return([1, 7, 30, 60, 90, 120]) }}
{% endmacro %}

{% macro trailing_windows() %}
  {{ return([7, 30, 60, 90, 120]) }}
{% endmacro %}

{#-
  Distances in days at which autocorrelation is estimated, each with the number of days that it stands for: every day of
  the first week, then whole weeks (so that the week's rhythm does not pass for forgetting), to a quarter of a year.
-#}
{% macro autocorrelation_lags() %}
  {{ return([
    {'lag': 1, 'days': 1}, {'lag': 2, 'days': 1}, {'lag': 3, 'days': 1}, {'lag': 4, 'days': 1}, {'lag': 5, 'days': 1},
    {'lag': 6, 'days': 1}, {'lag': 7, 'days': 4}, {'lag': 14, 'days': 7}, {'lag': 21, 'days': 7}, {'lag': 28, 'days': 10.5},
    {'lag': 42, 'days': 14}, {'lag': 56, 'days': 14}, {'lag': 70, 'days': 17.5}, {'lag': 91, 'days': 10.5}
  ]) }}
{% endmacro %}

{#- November to March: when gas leaves the storages and buildings are heated. The other months are summer. -#}
{% macro is_winter(day) -%}
  extract(month from {{ day }}) in (11, 12, 1, 2, 3)
{%- endmacro %}

{#- The window of a day and of the days before it, so many by the calendar, of its own curve. -#}
{% macro days_that_end_with_it(days) -%}
  partition by series, kind order by unix_date(day) range between {{ days - 1 }} preceding and current row
{%- endmacro %}

{#- Pearson's r from a count and five sums; null where one side does not vary. -#}
{% macro pearson(n, sum_x, sum_y, sum_xx, sum_yy, sum_xy) -%}
  safe_divide(
    {{ n }} * cast({{ sum_xy }} as float64) - cast({{ sum_x }} as float64) * {{ sum_y }},
    sqrt(greatest({{ n }} * cast({{ sum_xx }} as float64) - cast({{ sum_x }} as float64) * {{ sum_x }}, 0))
    * sqrt(greatest({{ n }} * cast({{ sum_yy }} as float64) - cast({{ sum_y }} as float64) * {{ sum_y }}, 0))
  )
{%- endmacro %}

{#- Slope of the least squares, y over x, from a count and four sums; null where x does not vary. -#}
{% macro least_squares(n, sum_x, sum_y, sum_xx, sum_xy) -%}
  safe_divide(
    {{ n }} * cast({{ sum_xy }} as float64) - cast({{ sum_x }} as float64) * {{ sum_y }},
    {{ n }} * cast({{ sum_xx }} as float64) - cast({{ sum_x }} as float64) * {{ sum_x }}
  )
{%- endmacro %}

{#- Query: one row a distance of `autocorrelation_lags`, with the days that it stands for. -#}
{% macro autocorrelation_distances() %}
  select *
  from
    unnest([
      {% for distance in autocorrelation_lags() %}
        struct({{ distance.lag }} as distance, {{ distance.days * 1.0 }} as stands_for){{ ',' if not loop.last }}
      {% endfor %}
    ])
{% endmacro %}

{#- The least product of two curves' autocorrelations up to a distance. -#}
{% macro least_so_far(product, curves, distance) -%}
  min(coalesce({{ product }}, 0)) over (
    partition by {{ curves }}
    order by {{ distance }}
  )
{%- endmacro %}

{#-
  Bartlett: how many days of two curves are worth one independent day, from the columns `product`, `least_so_far` and
  `stands_for` of each distance, up to the first at which the product is no longer positive.
-#}
{% macro inflation() -%}
  round(1 + 2 * sum(if(least_so_far > 0, stands_for * product, 0)), 6)
{%- endmacro %}

{#- Standard deviations of a normal distribution on either side of its mean that hold 95 % of it. -#}
{% macro z95() -%}
  1.959963984540054
{%- endmacro %}

{#- The unit of a column, from the ending of its name. -#}
{% macro unit_of(column) %}
  {%- set units = {'mwh': 'MWh', 'gwh': 'GWh', 'c': '°C', 'pct': '%'} -%}
  {{ return(units[column.split('_') | last]) }}
{% endmacro %}

{#- How the sentences of `relationships` name a series. -#}
{% macro words_for(series) %}
  {%- set words = {
    'temperature_mean_c': 'temperature',
    'gas_fullness_pct': 'the fullness of gas storage',
    'gas_stock_gwh': 'the gas stock',
    'gas_flow_gwh': 'the daily flow of gas into storage',
    'consumption_mwh': 'electricity consumption',
    'nuclear_mwh': 'nuclear production',
    'wind_mwh': 'wind production',
    'solar_mwh': 'solar production',
    'hydro_mwh': 'hydro production',
    'gas_mwh': 'gas production',
    'coal_mwh': 'coal production',
    'oil_mwh': 'oil production',
    'bioenergy_mwh': 'bioenergy production',
    'physical_exchange_mwh': 'the net physical import',
    'commercial_volume_mwh': 'the volume of commercial exchanges',
    'commercial_import_mwh': 'commercial imports',
    'commercial_export_mwh': 'commercial exports'
  } -%}
  {%- set borders = {
    'england': 'England',
    'spain': 'Spain',
    'italy': 'Italy',
    'switzerland': 'Switzerland',
    'germany_belgium': 'Germany and Belgium'
  } -%}
  {%- for border, name in borders.items() -%}
    {%- do words.update({
      'import_' ~ border ~ '_mwh': 'commercial imports from ' ~ name,
      'export_' ~ border ~ '_mwh': 'commercial exports to ' ~ name
    }) -%}
  {%- endfor -%}
  {{ return(words[series]) }}
{% endmacro %}

{#- A number below a million as text: 3,123.5 in English, 3 123,5 with a thin space in French, and a true minus sign. -#}
{% macro number_text(value, decimals, language='en') -%}
  {#- Zero is added because a zero that was rounded up from below would keep its sign. -#}
  {%- set english -%}
    replace(
      regexp_replace(
        format('%.{{ decimals }}f', round({{ value }}, {{ decimals }}) + 0.0), r'(\d)(\d{3})(\.|$)', r'\1,\2\3'
      ),
      '-', '−'
    )
  {%- endset -%}
  {%- if language == 'fr' -%}
    replace(replace({{ english }}, ',', '\u202f'), '.', ',')
  {%- else -%}
    {{ english }}
  {%- endif -%}
{%- endmacro %}
