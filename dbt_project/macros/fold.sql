{# Pieces of evidence with their place among those of the person: how many came later, what the attempt before came to. #}
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
        first_value({{ pieces }}.occurred_at) over (
            partition by {{ pieces }}.person_key
            order by {{ pieces }}.occurred_at desc, {{ pieces }}.statement_id desc
        ) as person_newest_at,
        lag({{ pieces }}.outcome) over (
            partition by {{ pieces }}.attempt_key
            order by {{ pieces }}.occurred_at, {{ pieces }}.statement_id
        ) as previous_outcome
    from {{ pieces }}
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
