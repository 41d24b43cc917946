{#- Every sentence is chosen by what the marts say; with other data other sentences come out. -#}
{%- set parts = [
  'int_answer_1_mix',
  'int_answer_2_gas',
  'int_answer_3_4_sources',
  'int_answer_5_seasons',
  'int_answer_6_exchanges'
] %}

with answered as (
  {% for part in parts %}
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
    from {{ ref(part) }}
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
    struct(
      1 as question,
      'What is the mix of energy sources on a given day or over a period?' as question_en,
      'Quel est le mix des sources d’énergie un jour donné ou sur une période ?' as question_fr
    ),
    struct(
      2,
      'Is the gas stock correlated with temperature?',
      'Le stock de gaz est-il corrélé à la température ?'
    ),
    struct(
      3,
      'Are the energy sources influenced by temperature?',
      'Les sources d’énergie sont-elles influencées par la température ?'
    ),
    struct(
      4,
      'Are the energy sources influenced by the gas stock?',
      'Les sources d’énergie sont-elles influencées par le stock de gaz ?'
    ),
    struct(
      5,
      'Does the mix change with the seasons?',
      'Le mix change-t-il avec les saisons ?'
    ),
    struct(
      6,
      'Is there more commercial exchange at the borders when the gas stock is full?',
      'Y a-t-il plus d’échanges commerciaux aux frontières quand le stock de gaz est plein ?'
    )
  ]) as questions
  on answered.question = questions.question
