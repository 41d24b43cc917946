{#- Figures are made in `int_relationships`; here are their words. -#}
{{ config(cluster_by=['question', 'method', 'y']) }}

with judged as (
  select
    *,
    case
      when n < if(season_filter = 'all', {{ var('least_days') }}, {{ var('least_days_of_a_season') }}) then null
      when n_effective < {{ var('least_effective_days') }} then null
      when r_low > 0 then 'positive'
      when r_high < 0 then 'negative'
      when r is not null then 'none'
    end as direction
  from {{ ref('int_relationships') }}
),

-- Beside each row, what is left of it without the season; beside what is left, the raw figures.
compared as (
  select
    judged.*,
    other.r as other_r,
    other.direction as other_direction
  from judged
  left join judged as other
    on
      judged.question = other.question
      and judged.x = other.x
      and judged.y = other.y
      and judged.lag_days = other.lag_days
      and judged.period = other.period
      and judged.season_filter = other.season_filter
      and case judged.method
        when 'raw' then 'deseasonalised'
        when 'deseasonalised' then 'raw'
        when 'lagged' then 'deseasonalised_lagged'
        when 'trailing_mean' then 'deseasonalised_trailing_mean'
      end = other.method
  where judged.method in ('raw', 'deseasonalised', 'first_difference', 'lagged', 'trailing_mean')
),

names as (
  select *
  from
    unnest([
      {% for series in relationship_series() %}
        struct('{{ series }}' as series, '{{ words_for(series) }}' as words, '{{ unit_of(series) }}' as unit)
        {{- ',' if not loop.last }}
      {% endfor %}
    ])
),

named as (
  select
    compared.*,
    y_names.words as y_words,
    case compared.method
      when 'lagged'
        then concat(x_names.words, ' ', compared.lag_days, if(compared.lag_days = 1, ' day', ' days'), ' before')
      when 'trailing_mean' then concat('the mean of ', x_names.words, ' over ', compared.lag_days, ' days')
      else x_names.words
    end as x_words,
    concat(y_names.unit, '/', x_names.unit) as slope_unit
  from compared
  inner join names as x_names on compared.x = x_names.series
  inner join names as y_names on compared.y = y_names.series
),

worded as (
  select
    *,
    case method
      when 'deseasonalised' then 'Beyond the season, '
      when 'first_difference' then 'From one day to the next, '
      else ''
    end as opening,
    concat(
      'r = ', {{ number_text('r', 2) }}, ', 95 % interval ', {{ number_text('r_low', 2) }}, ' to ',
      {{ number_text('r_high', 2) }}
    ) as evidence,
    case
      when abs(r) < {{ var('weak_from_r') }} then 'very weak'
      when abs(r) < {{ var('moderate_from_r') }} then 'weak'
      when abs(r) < {{ var('strong_from_r') }} then 'moderate'
      else 'strong'
    end as strength,
    concat('r = ', {{ number_text('other_r', 2) }}) as other_evidence
  from named
),

sentences as (
  select
    *,
    case direction
      when 'none' then concat('no clear link of ', y_words, ' with ', x_words, ' (', evidence, ', which includes 0)')
      else
        concat('a ', strength, ' ', direction, ' link of ', y_words, ' with ', x_words, ' (', evidence, ', without 0)')
    end as finding,
    case
      when method = 'first_difference' then ''
      when method = 'deseasonalised' and other_direction = 'none' and direction != 'none'
        then concat('; the raw figures hide it behind the season (', other_evidence, ')')
      when method = 'deseasonalised' and direction = 'none' and other_direction != 'none'
        then concat('; the ', other_direction, ' link of the raw figures is the season’s (', other_evidence, ')')
      when method = 'deseasonalised' and other_direction != direction
        then concat('; in the raw figures the season turns it round (', other_evidence, ')')
      when method = 'deseasonalised' then ''
      when other_direction is null then '; what the season alone makes of it cannot be told from so little'
      when other_direction = 'none' and direction != 'none'
        then concat('; beyond the season no clear link is left (', other_evidence, '): the season alone can explain it')
      when direction = 'none' and other_direction != 'none'
        then concat('; beyond the season there is a ', other_direction, ' one (', other_evidence, ')')
      when other_direction != direction
        then concat('; beyond the season it is ', other_direction, ' (', other_evidence, ')')
      else ''
    end as caveat
  from worded
)

select
  question,
  x,
  y,
  method,
  lag_days,
  period,
  season_filter,
  n,
  n_effective,
  r,
  r_low,
  r_high,
  slope,
  slope_unit,
  direction,
  case
    when direction is null then 'not enough data'
    when opening = '' then concat(upper(substr(finding, 1, 1)), substr(finding, 2), caveat, '.')
    else concat(opening, finding, caveat, '.')
  end as reading
from sentences
