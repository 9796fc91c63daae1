{# Pieces of evidence that count: one that a later piece on the same activity replaced does not; of those that repeat each
   other on one day (UTC), each further one weighs `repetition` times the one before:
   `counted_weight`. transforms/estimator.py: in_force. #}
{% macro in_force(pieces) -%}
    select
        standing.*,
        case when not standing.only_latest then standing.attempted_with end as previous_outcome,
        standing.weight * pow(
            parameters.repetition,
            row_number() over (
                partition by standing.repeat_key, {{ utc_day('standing.occurred_at') }}
                order by standing.occurred_at, standing.statement_id
            ) - 1
        ) as counted_weight
    from (
        select
            {{ pieces }}.*,
            lag({{ pieces }}.outcome) over (
                partition by {{ pieces }}.attempt_key
                order by {{ pieces }}.occurred_at, {{ pieces }}.statement_id
            ) as attempted_with,
            lead({{ pieces }}.statement_id) over (
                partition by {{ pieces }}.attempt_key
                order by {{ pieces }}.occurred_at, {{ pieces }}.statement_id
            ) as replaced_by
        from {{ pieces }}
    ) as standing
    cross join {{ ref('estimator_parameters') }} as parameters
    where standing.replaced_by is null or not standing.only_latest
{%- endmacro %}

{# Pieces in force with their place among those of the person: how many came later, and how many on the same competency
   later and earlier. #}
{% macro in_sequence(pieces) -%}
    select
        {{ pieces }}.*,
        dense_rank() over (
            partition by {{ pieces }}.person_key
            order by {{ pieces }}.occurred_at desc, {{ pieces }}.statement_id desc
        ) - 1 as later_pieces,
        row_number() over (
            partition by {{ pieces }}.person_key, {{ pieces }}.competency
            order by {{ pieces }}.occurred_at desc, {{ pieces }}.statement_id desc
        ) - 1 as later_on_same,
        count(*) over (
            partition by {{ pieces }}.person_key, {{ pieces }}.competency
            order by {{ pieces }}.occurred_at desc, {{ pieces }}.statement_id desc
            rows between unbounded preceding and unbounded following
        ) - row_number() over (
            partition by {{ pieces }}.person_key, {{ pieces }}.competency
            order by {{ pieces }}.occurred_at desc, {{ pieces }}.statement_id desc
        ) as earlier_on_same,
        first_value({{ pieces }}.occurred_at) over (
            partition by {{ pieces }}.person_key
            order by {{ pieces }}.occurred_at desc, {{ pieces }}.statement_id desc
        ) as person_newest_at
    from {{ pieces }}
{%- endmacro %}

{# What so many pieces of evidence count for as practice; beside `parameters`. transforms/estimator.py: practised. #}
{% macro practised(count) -%}
    case
        when parameters.practice_curve = 0 then ln(1 + {{ count }})
        else (pow(1 + {{ count }}, parameters.practice_curve) - 1) / parameters.practice_curve
    end
{%- endmacro %}

{# z of a piece at θ = 0: its difficulty, less what practice gained by the `earlier` pieces on the competency, and the effect
   of the attempt before. Beside `pieces` it needs `parameters` and `competencies` (estimator_competencies). #}
{% macro logit_at_zero(pieces, previous_outcome, earlier) -%}
    {{ pieces }}.slope * (competencies.practice * {{ practised(earlier) }} - {{ pieces }}.difficulty)
    + case
        when {{ previous_outcome }} is null then 0
        when {{ previous_outcome }} >= 0.5 then parameters.after_success
        else parameters.after_failure
    end
{%- endmacro %}

{# What a piece of evidence says of the ability at point k: w·(y·log P + (1 − y)·log(1 − P)). `logit_at_zero` is z at θ = 0. #}
{% macro likelihood(k) -%}
    weight * (
        case
            when guess = 0 and slip = 0 then outcome * (logit_at_zero + slope * {{ ability(k) }})
            else
                outcome * ln(guess + (1 - slip) * exp(logit_at_zero + slope * {{ ability(k) }}))
                + (1 - outcome) * ln(1 - guess + slip * exp(logit_at_zero + slope * {{ ability(k) }}))
        end
        - ln(1 + exp(logit_at_zero + slope * {{ ability(k) }}))
    )
{%- endmacro %}
