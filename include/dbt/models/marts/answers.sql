{#-
  Every sentence is chosen by what the marts say; with other data other sentences come out. A link is worth a word where
  its interval leaves 0 out and |r| is at least 0.1.
-#}
{%- set languages = ['en', 'fr'] %}
{%- set not_enough = {'en': 'Not enough data.', 'fr': 'Pas assez de données.'} %}

with names as (
  select *
  from
    unnest([
      {% for source, words in source_words().items() %}
        struct('{{ source }}' as source, '{{ words.en }}' as name_en, '{{ words.fr }}' as name_fr){{ ',' if not loop.last }}
      {% endfor %}
    ])
),

links as (
  select
    *,
    case
      when direction is null then 'unknown'
      when abs(r) < 0.1 then 'none'
      else direction
    end as finding
  from {{ ref('relationships') }}
  where period = 'all' and season_filter = 'all'
),

days as (
  select
    min(if(temperature_mean_c is not null and gas_stock_gwh is not null, day, null)) as first_2,
    max(if(temperature_mean_c is not null and gas_stock_gwh is not null, day, null)) as last_2,
    min(if(temperature_mean_c is not null and electricity_is_complete, day, null)) as first_3,
    max(if(temperature_mean_c is not null and electricity_is_complete, day, null)) as last_3,
    min(if(gas_fullness_pct is not null and electricity_is_complete, day, null)) as first_4,
    max(if(gas_fullness_pct is not null and electricity_is_complete, day, null)) as last_4
  from {{ ref('energy_climate_daily') }}
),

-- 1: the mix of the last day that was measured to its end, and of the 365 days that end with it.
measured_days as (
  select day
  from {{ ref('energy_mix_daily') }}
  group by day
  having logical_and(is_complete)
),

last_day as (
  select max(day) as day from measured_days
),

mix as (
  select
    mix.source,
    -- In millionths, whole numbers: their sum is the same in every order.
    sum(if(mix.day = last_day.day, cast(round(mix.energy_mwh * 1000000) as int64), 0)) as of_day,
    sum(cast(round(mix.energy_mwh * 1000000) as int64)) as of_year
  from {{ ref('energy_mix_daily') }} as mix
  inner join measured_days on mix.day = measured_days.day
  inner join last_day on mix.day > date_sub(last_day.day, interval 365 day)
  group by mix.source
),

shares as (
  select
    names.*,
    mix.of_day,
    mix.of_year,
    safe_divide(100 * mix.of_day, sum(mix.of_day) over ()) as day_pct,
    safe_divide(100 * mix.of_year, sum(mix.of_year) over ()) as year_pct
  from mix
  inner join names on mix.source = names.source
),

mix_in_words as (
  select
    {% for language in languages %}
      string_agg(
        concat(name_{{ language }}, ' ', {{ percent_text('day_pct', language) }}), ', ' order by day_pct desc, source
      ) as day_{{ language }},
      string_agg(
        concat(name_{{ language }}, ' ', {{ percent_text('year_pct', language) }}), ', ' order by year_pct desc, source
      ) as year_{{ language }},
    {% endfor %}
    sum(of_day) / 1000000000 as day_gwh,
    sum(of_year) / 1000000000000 as year_twh
  from shares
),

measured_of_year as (
  select
    last_day.day as last_day,
    min(measured_days.day) as first_day,
    count(measured_days.day) as days
  from last_day
  left join measured_days on measured_days.day > date_sub(last_day.day, interval 365 day)
  group by last_day.day
),

question_1 as (
  select
    1 as question,
    measured.first_day as period_start,
    measured.last_day as period_end,
    {% for language in languages %}
      {%- set words = {
        'en': ['On ', ': ', '. Over the 365 days that end then: ', ' produced on the day, ', ' TWh over ',
          ' measured to their end out of 365.'],
        'fr': ['Le ', ' : ', '. Sur les 365 jours qui s’achèvent ce jour : ', ' produits ce jour, ', ' TWh sur ',
          ' mesurés jusqu’au bout sur 365.']
      }[language] %}
      coalesce(
        concat(
          '{{ words[0] }}', {{ day_text('measured.last_day', language) }}, '{{ words[1] }}', mix.day_{{ language }},
          '{{ words[2] }}', mix.year_{{ language }}, '.'
        ),
        '{{ not_enough[language] }}'
      ) as answer_{{ language }},
      concat(
        {{ number_text('mix.day_gwh', 0, language) }}, ' GWh{{ words[3] }}', {{ number_text('mix.year_twh', 1, language) }},
        '{{ words[4] }}', {{ days_text('measured.days', language) }}, '{{ words[5] }}'
      ) as figures_{{ language }},
    {% endfor %}
    concat(
      'Shares are of production: exchanges, pumping and batteries stand apart.',
      if(measured.days < 365, ' Days that were not measured to their end are left out.', '')
    ) as caveat_en,
    concat(
      'Les parts sont celles de la production : échanges, pompage et batteries sont à part.',
      if(measured.days < 365, ' Les jours qui ne sont pas mesurés jusqu’au bout sont laissés de côté.', '')
    ) as caveat_fr
  from measured_of_year as measured
  cross join mix_in_words as mix
),

-- 2: level and flow of the gas stock, raw and beyond the season.
gas as (
  select
    {% for name, condition in {
      'stock_raw': "y = 'gas_stock_gwh' and method = 'raw'",
      'stock_beyond': "y = 'gas_stock_gwh' and method = 'deseasonalised'",
      'stock_trailing': "y = 'gas_stock_gwh' and method = 'trailing_mean' and lag_days = 120",
      'flow_raw': "y = 'gas_flow_gwh' and method = 'raw'",
      'flow_beyond': "y = 'gas_flow_gwh' and method = 'deseasonalised'"
    }.items() %}
      max(if({{ condition }}, finding, null)) as {{ name }},
      max(if({{ condition }}, r, null)) as {{ name }}_r,
      max(if({{ condition }}, r_low, null)) as {{ name }}_low,
      max(if({{ condition }}, r_high, null)) as {{ name }}_high,
    {% endfor %}
    max(if(y = 'gas_stock_gwh' and method = 'raw', n, null)) as days
  from links
  where question = 2
),

question_2 as (
  select
    2 as question,
    days.first_2 as period_start,
    days.last_2 as period_end,
    {% for language in languages %}
      {%- set words = {
        'en': ['Beyond the season, the gas stock ', ', and the daily flow of gas into storage ', '.',
          'Stock: ', ' raw, ', ' beyond the season, ', ' against the mean temperature of 120 days; flow: ',
          ' beyond the season; ', '.'],
        'fr': ['Hors effet de saison, le stock de gaz ', ', et le flux journalier de gaz vers les stockages ', '.', 'Stock : ', ' brut, ', ' hors saison, ', ' avec la température moyenne de 120 jours ; flux : ',
          ' hors saison ; ', '.']
      }[language] %}
      if(
        gas.stock_beyond = 'unknown' and gas.flow_beyond = 'unknown',
        '{{ not_enough[language] }}',
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
    {% for language in languages %}
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
      end as caveat_{{ language }}{{ ',' if not loop.last }}
    {% endfor %}
  from gas
  cross join days
),

-- 3 and 4: the sources, in the order of how clear their link is.
sources as (
  select
    beyond.question,
    beyond.y,
    raw.n,
    beyond.r,
    beyond.finding,
    raw.finding as raw_finding,
    names.*
  from links as beyond
  inner join links as raw on beyond.question = raw.question and beyond.y = raw.y and raw.method = 'raw'
  inner join names on beyond.y = concat(names.source, '_mwh')
  where beyond.question in (3, 4) and beyond.method = 'deseasonalised'
),

sources_in_words as (
  select
    question,
    max(n) as days,
    logical_and(finding = 'unknown') as all_unknown,
    countif(finding != raw_finding and 'unknown' not in (finding, raw_finding)) as differing,
    countif(finding != 'unknown' and raw_finding = 'unknown') as raw_unknown,
    {% for language in languages %}
      {% for finding in ['positive', 'negative', 'none', 'unknown'] %}
        string_agg(if(finding = '{{ finding }}', name_{{ language }}, null), ', ' order by abs(r) desc, source)
          as {{ finding }}_{{ language }},
      {% endfor %}
      string_agg(
        concat(name_{{ language }}, ' ', {{ number_text('r', 2, language) }}), ', ' order by abs(r) desc, source
      ) as r_{{ language }}{{ ',' if not loop.last }}
    {% endfor %}
  from sources
  group by question
),

cold as (
  select
    max(if(n >= {{ var('least_days_of_a_season') }}, mw_per_c, null)) as mw,
    max(mw_per_c_low) as mw_low,
    max(mw_per_c_high) as mw_high
  from {{ ref('thermosensitivity') }}
  where y = 'consumption_mwh' and winter = 'all'
),

question_3_and_4 as (
  select
    words.question,
    if(words.question = 3, days.first_3, days.first_4) as period_start,
    if(words.question = 3, days.last_3, days.last_4) as period_end,
    {% for language in languages %}
      {%- set text = {
        'en': {'warmer': 'the warmer it is', 'fuller': 'the fuller the gas storage is', 'beyond': 'Beyond the season, ',
          'more': ', the higher the production of: ', 'less': ', the lower the production of: ', 'none': 'No clear link: ', 'unknown': 'Not enough data: ',
          'r': 'r beyond the season: ', 'cold': '; consumption in winter: ', 'each': ' MW for each degree colder (',
          'to': ' to ', 'then': '; '},
        'fr': {'warmer': 'plus il fait chaud', 'fuller': 'plus les stockages de gaz sont pleins',
          'beyond': 'Hors effet de saison, ', 'more': ', plus la production est élevée pour : ',
          'less': ', plus la production est faible pour : ', 'none': 'Pas de lien clair : ', 'unknown': 'Pas assez de données : ', 'r': 'r hors saison : ',
          'cold': ' ; consommation en hiver : ', 'each': ' MW par degré de moins (', 'to': ' à ', 'then': ' ; '}
      }[language] %}
      if(
        words.all_unknown,
        '{{ not_enough[language] }}',
        rtrim(concat(
          {% for finding, side in {'positive': 'more', 'negative': 'less'}.items() %}
            coalesce(
              concat(
                '{{ text.beyond }}', if(words.question = 3, '{{ text.warmer }}', '{{ text.fuller }}'), '{{ text[side] }}',
                words.{{ finding }}_{{ language }}, '. '
              ), ''
            ),
          {% endfor %}
          coalesce(concat('{{ text.none }}', words.none_{{ language }}, '. '), ''),
          coalesce(concat('{{ text.unknown }}', words.unknown_{{ language }}, '. '), '')
        ))
      ) as answer_{{ language }},
      concat(
        coalesce(concat('{{ text.r }}', words.r_{{ language }}, '{{ text.then }}'), ''),
        {{ days_text('words.days', language) }},
        if(
          words.question = 3 and cold.mw is not null,
          coalesce(
            concat(
              '{{ text.cold }}', {{ number_text('cold.mw', 0, language) }}, '{{ text.each }}',
              {{ number_text('cold.mw_low', 0, language) }}, '{{ text.to }}', {{ number_text('cold.mw_high', 0, language) }}, ')'
            ), ''
          ), ''
        ),
        '.'
      ) as figures_{{ language }},
    {% endfor %}
    case
      when words.all_unknown then {{ too_little_text('words.days', 'en') }}
      when words.differing > 0
        then concat(
          'The raw figures say otherwise for ', words.differing, ' of the 8 sources: what follows the seasons goes together anyway.'
        )
      when words.raw_unknown > 0
        then concat(
          'For ', words.raw_unknown, ' of the 8 sources the raw figures alone cannot tell: too few seasons. ',
          'A link is not yet a cause.'
        )
      else 'Raw figures and those beyond the season agree; a link is not yet a cause.'
    end as caveat_en,
    case
      when words.all_unknown then {{ too_little_text('words.days', 'fr') }}
      when words.differing > 0
        then concat(
          'Les chiffres bruts disent autre chose pour ', words.differing,
          ' des 8 filières : ce qui suit les saisons varie ensemble de toute façon.'
        )
      when words.raw_unknown > 0
        then concat(
          'Pour ', words.raw_unknown,
          ' des 8 filières les chiffres bruts seuls ne tranchent pas : trop peu de saisons. Un lien n’est pas encore une cause.'
        )
      else 'Chiffres bruts et hors saison concordent ; un lien n’est pas encore une cause.'
    end as caveat_fr
  from sources_in_words as words
  cross join days
  cross join cold
),

-- 5: a source changes with the seasons where its winters and summers of no two years overlap.
winters_and_summers as (
  select
    names.*,
    winter.years,
    winter.first_year,
    winter.last_year,
    winter.share_mean_pct as winter_pct,
    summer.share_mean_pct as summer_pct,
    winter.share_min_pct > summer.share_max_pct or winter.share_max_pct < summer.share_min_pct as is_apart
  from {{ ref('energy_mix_season') }} as winter
  inner join {{ ref('energy_mix_season') }} as summer on winter.source = summer.source and summer.season = 'summer'
  inner join names on winter.source = names.source
  where winter.season = 'winter'
),

seasons_in_words as (
  select
    coalesce(max(years), 0) as years,
    min(first_year) as first_year,
    max(last_year) as last_year,
    {% for language in languages %}
      {%- set text = {'en': [' in winter, ', ' in summer'], 'fr': [' en hiver, ', ' en été']}[language] %}
      {% for name, condition in {'apart': 'is_apart', 'alike': 'not is_apart'}.items() %}
        string_agg(
          if({{ condition }}, name_{{ language }}, null), ', ' order by abs(winter_pct - summer_pct) desc, source
        ) as {{ name }}_{{ language }},
      {% endfor %}
      string_agg(
        concat(
          name_{{ language }}, ' ', {{ percent_text('winter_pct', language) }}, '{{ text[0] }}',
          {{ percent_text('summer_pct', language) }}, '{{ text[1] }}'
        ), '; ' order by abs(winter_pct - summer_pct) desc, source
      ) as shares_{{ language }}{{ ',' if not loop.last }}
    {% endfor %}
  from winters_and_summers
),

question_5 as (
  select
    5 as question,
    date(first_year - 1, 12, 1) as period_start,
    date(last_year, 11, 30) as period_end,
    case
      when years < 2 then '{{ not_enough.en }}'
      when apart_en is null then 'No: between winter and summer no share differs by more than from one year to another.'
      else concat('Yes: winter and summer shares lie apart, whatever the year, for: ', apart_en, '.')
    end as answer_en,
    coalesce(concat(shares_en, ' (mean of ', years, ' years).'), 'No complete year.') as figures_en,
    case
      when years < 2 then '{{ not_enough.fr }}'
      when apart_fr is null then 'Non : entre hiver et été, aucune part ne diffère plus que d’une année à l’autre.'
      else concat('Oui : les parts d’hiver et d’été sont distinctes, quelle que soit l’année, pour : ', apart_fr, '.')
    end as answer_fr,
    coalesce(concat(replace(shares_fr, ';', ' ;'), ' (moyenne de ', years, ' ans).'), 'Aucune année complète.') as figures_fr,
    case
      when years < 2 then 'One year cannot tell a season from chance.'
      when alike_en is not null then concat('Not so for: ', alike_en, '.')
      else concat(years, ' years are few for a rule.')
    end as caveat_en,
    case
      when years < 2 then 'Une année ne permet pas de distinguer la saison du hasard.'
      when alike_fr is not null then concat('Ce n’est pas le cas pour : ', alike_fr, '.')
      else concat(years, ' ans sont peu pour une règle.')
    end as caveat_fr
  from seasons_in_words
),

-- 6: what is exchanged when storages are fuller, raw and beyond the season.
exchanges as (
  select
    {% for name, condition in {
      'volume_raw': "y = 'commercial_volume_mwh' and method = 'raw'",
      'volume_beyond': "y = 'commercial_volume_mwh' and method = 'deseasonalised'",
      'import_beyond': "y = 'commercial_import_mwh' and method = 'deseasonalised'",
      'export_beyond': "y = 'commercial_export_mwh' and method = 'deseasonalised'"
    }.items() %}
      max(if({{ condition }}, finding, null)) as {{ name }},
      max(if({{ condition }}, r, null)) as {{ name }}_r,
      max(if({{ condition }}, r_low, null)) as {{ name }}_low,
      max(if({{ condition }}, r_high, null)) as {{ name }}_high,
    {% endfor %}
    max(if(y = 'commercial_volume_mwh' and method = 'raw', n, null)) as days
  from links
  where question = 6
),

thirds as (
  select
    max(if(group_number = 1, volume_mwh, null)) / 1000 as empty_gwh,
    max(if(group_number = 1, fullness_high_pct, null)) as empty_pct,
    max(if(group_number = 3, volume_mwh, null)) / 1000 as full_gwh,
    max(if(group_number = 3, fullness_low_pct, null)) as full_pct
  from {{ ref('exchanges_by_fullness') }}
  where method = 'raw' and group_type = 'tercile' and border = 'all'
),

question_6 as (
  select
    6 as question,
    days.first_4 as period_start,
    days.last_4 as period_end,
    concat(
      {{ by_finding('exchanges.volume_beyond',
        'Yes: beyond the season, the fuller the gas storage, the more is exchanged.',
        'No: beyond the season, the fuller the gas storage, the less is exchanged.',
        'No clear link, beyond the season, between how full the gas storage is and how much is exchanged.',
        not_enough.en) }},
      if(
        exchanges.volume_beyond = 'unknown', '',
        concat(
          ' Imports: ', {{ by_finding('exchanges.import_beyond', 'more', 'less', 'no clear link', 'not enough data') }},
          '; exports: ', {{ by_finding('exchanges.export_beyond', 'more', 'less', 'no clear link', 'not enough data') }}, '.'
        )
      )
    ) as answer_en,
    concat(
      {{ by_finding('exchanges.volume_beyond',
        'Oui : hors effet de saison, plus les stockages de gaz sont pleins, plus on échange.',
        'Non : hors effet de saison, plus les stockages de gaz sont pleins, moins on échange.',
        'Pas de lien clair, hors effet de saison, entre le remplissage des stockages de gaz et le volume des échanges.',
        not_enough.fr) }},
      if(
        exchanges.volume_beyond = 'unknown', '',
        concat(
          ' Imports : ',
          {{ by_finding('exchanges.import_beyond', 'plus', 'moins', 'pas de lien clair', 'pas assez de données') }},
          ' ; exports : ',
          {{ by_finding('exchanges.export_beyond', 'plus', 'moins', 'pas de lien clair', 'pas assez de données') }}, '.'
        )
      )
    ) as answer_fr,
    {% for language in languages %}
      {%- set words = {
        'en': ['Volume: ', ' raw, ', ' beyond the season; imports: ', '; exports: ', '; fullest third of days (from ', '): ',
          ' GWh a day, emptiest (up to ', ' GWh a day; ', '.', '; '],
        'fr': ['Volume : ', ' brut, ', ' hors saison ; imports : ', ' ; exports : ', ' ; tiers des jours le plus plein (dès ',
          ') : ', ' GWh par jour, le plus vide (jusqu’à ', ' GWh par jour ; ', '.', ' ; ']
      }[language] %}
      concat(
        '{{ words[0] }}', {{ correlation_text('exchanges.volume_raw', language) }}, '{{ words[1] }}',
        {{ correlation_text('exchanges.volume_beyond', language) }}, '{{ words[2] }}',
        {{ correlation_text('exchanges.import_beyond', language) }}, '{{ words[3] }}',
        {{ correlation_text('exchanges.export_beyond', language) }},
        coalesce(
          concat(
            '{{ words[4] }}', {{ percent_text('thirds.full_pct', language) }}, '{{ words[5] }}',
            {{ number_text('thirds.full_gwh', 0, language) }}, '{{ words[6] }}',
            {{ percent_text('thirds.empty_pct', language) }}, '{{ words[5] }}', {{ number_text('thirds.empty_gwh', 0, language) }},
            '{{ words[7] }}'
          ), '{{ words[9] }}'
        ), {{ days_text('exchanges.days', language) }}, '{{ words[8] }}'
      ) as figures_{{ language }},
    {% endfor %}
    case
      when exchanges.volume_beyond = 'unknown' then {{ too_little_text('exchanges.days', 'en') }}
      when exchanges.volume_raw = 'unknown'
        then 'The raw figures alone cannot tell: too few seasons. Cold and prices move both: a link is not yet a cause.'
      when exchanges.volume_raw != exchanges.volume_beyond
        then 'The raw figures say otherwise: storage is full in autumn, when exchanges have their own season.'
      else 'Cold and prices move both: a link is not yet a cause.'
    end as caveat_en,
    case
      when exchanges.volume_beyond = 'unknown' then {{ too_little_text('exchanges.days', 'fr') }}
      when exchanges.volume_raw = 'unknown'
        then concat(
          'Les chiffres bruts seuls ne tranchent pas : trop peu de saisons. ',
          'Le froid et les prix agissent sur les deux : un lien n’est pas encore une cause.'
        )
      when exchanges.volume_raw != exchanges.volume_beyond
        then 'Les chiffres bruts disent autre chose : les stockages sont pleins à l’automne, et les échanges ont leur saison.'
      else 'Le froid et les prix agissent sur les deux : un lien n’est pas encore une cause.'
    end as caveat_fr
  from exchanges
  cross join thirds
  cross join days
),

answered as (
  {% for part in ['question_1', 'question_2', 'question_3_and_4', 'question_5', 'question_6'] %}
    select
      question,
      answer_en,
      answer_fr,
      figures_en,
      figures_fr,
      period_start,
      period_end,
      caveat_en,
      caveat_fr
    from {{ part }}
    {% if not loop.last %}union all{% endif %}
  {% endfor %}
)

select
  answered.question,
  questions.question_en,
  {{ french_spaces('questions.question_fr') }} as question_fr,
  answered.answer_en,
  {{ french_spaces('answered.answer_fr') }} as answer_fr,
  answered.figures_en,
  {{ french_spaces('answered.figures_fr') }} as figures_fr,
  answered.period_start,
  answered.period_end,
  answered.caveat_en,
  {{ french_spaces('answered.caveat_fr') }} as caveat_fr
from answered
inner join
  unnest([
    struct(1 as question, 'What is the mix of energy sources on a given day or over a period?' as question_en,
      'Quel est le mix des sources d’énergie un jour donné ou sur une période ?' as question_fr),
    struct(2, 'Is the gas stock correlated with temperature?', 'Le stock de gaz est-il corrélé à la température ?'),
    struct(3, 'Are the energy sources influenced by temperature?',
      'Les sources d’énergie sont-elles influencées par la température ?'),
    struct(4, 'Are the energy sources influenced by the gas stock?',
      'Les sources d’énergie sont-elles influencées par le stock de gaz ?'),
    struct(5, 'Does the mix change with the seasons?', 'Le mix change-t-il avec les saisons ?'),
    struct(6, 'Is there more commercial exchange at the borders when the gas stock is full?',
      'Y a-t-il plus d’échanges commerciaux aux frontières quand le stock de gaz est plein ?')
  ]) as questions
  on answered.question = questions.question
