-- noqa: disable=LT02
-- depends_on: {{ ref('int_touched_statements') }}
{{ config(
    incremental_strategy='append',
    partition_by=buckets_of('person_key'),
    pre_hook="{% if is_incremental() %}{{ forget_unfinished(this) }}{% endif %}"
) }}

{#- Folds evidence into the two sums of log-likelihood that are all the estimator keeps of a person and competency.
    Evidence newer than what was folded is added to the discounted sums; a person with late or withdrawn evidence is
    folded anew from their own evidence. A person's states are those of their newest load: older ones stand until
    compact_states removes them. transforms/estimator.py is the same in numpy (`fold`). -#}

with parameters as (

    select * from {{ ref('estimator_parameters') }}

),

{% if is_incremental() %}
    touched_people as (

        select
            person_key,
            min({{ fields(at='occurred_at', id='statement_id') }}) as first_touched
        from {{ ref('int_touched_statements') }}
        group by person_key

    ),

    newest_loads as (

        select
            states.person_key,
            max(states.load_id) as load_id
        from {{ this }} as states
        inner join touched_people on states.person_key = touched_people.person_key
        group by states.person_key

    ),

    previous as (

        select states.*
        from {{ this }} as states
        inner join newest_loads
            on states.person_key = newest_loads.person_key and states.load_id = newest_loads.load_id
        where states.evidence_count > 0

    ),

    previous_people as (

        select
            person_key,
            max(pieces) as pieces,
            max(newest_at) as newest_at,
            max(newest_statement_id) as newest_statement_id
        from previous
        group by person_key

    ),

    new_pieces as (

        select * from {{ ref('int_evidence') }} where load_id > {{ finished_load() }}

    ),

    repeated as (

        -- How many older pieces those of this load repeat on the same day.
        select
            repeat_key,
            {{ utc_day('occurred_at') }} as day,
            count(*) as pieces,
            bool_or(only_latest) as only_latest
        from {{ ref('int_evidence') }}
        where
            load_id <= {{ finished_load() }}
            and occurred_at >= (select min(occurred_at) - interval '1 day' from new_pieces)
            and repeat_key in (select repeat_key from new_pieces)
        group by repeat_key, {{ utc_day('occurred_at') }}

    ),

    counted_otherwise as (

        -- People of whom new evidence replaces older evidence, or repeats such as may have been replaced.
        select person_key
        from {{ ref('int_evidence') }}
        where
            load_id <= {{ finished_load() }}
            and attempt_key in (select attempt_key from new_pieces where only_latest)

        union

        select new_pieces.person_key
        from new_pieces
        inner join repeated
            on new_pieces.repeat_key = repeated.repeat_key and {{ utc_day('new_pieces.occurred_at') }} = repeated.day
        where repeated.only_latest

    ),

    people as (

        select
            touched_people.person_key,
            previous_people.pieces,
            previous_people.newest_at,
            previous_people.newest_statement_id,
            previous_people.person_key is null
            or (
                touched_people.first_touched > {{ fields(at='previous_people.newest_at', id='previous_people.newest_statement_id') }}
                and counted_otherwise.person_key is null
            ) as is_in_order
        from touched_people
        left join previous_people on touched_people.person_key = previous_people.person_key
        left join counted_otherwise on touched_people.person_key = counted_otherwise.person_key

    ),

    to_fold as (

        select
            evidence.person_key,
            evidence.competency,
            evidence.attempt_key,
            evidence.repeat_key,
            evidence.only_latest,
            evidence.occurred_at,
            evidence.statement_id,
            evidence.outcome,
            evidence.weight,
            evidence.difficulty,
            evidence.slope,
            evidence.guess,
            evidence.slip,
            people.is_in_order
        from new_pieces as evidence
        inner join people on evidence.person_key = people.person_key and people.is_in_order

        union all

        select
            evidence.person_key,
            evidence.competency,
            evidence.attempt_key,
            evidence.repeat_key,
            evidence.only_latest,
            evidence.occurred_at,
            evidence.statement_id,
            evidence.outcome,
            evidence.weight,
            evidence.difficulty,
            evidence.slope,
            evidence.guess,
            evidence.slip,
            people.is_in_order
        from {{ ref('int_evidence') }} as evidence
        inner join people on evidence.person_key = people.person_key and not people.is_in_order

    ),

    attempts as (

        -- Empty, and the search of all evidence with it, where no effect of a second attempt is estimated.
        select distinct new_pieces.attempt_key
        from new_pieces
        cross join parameters
        where parameters.after_failure <> 0 or parameters.after_success <> 0

    ),

    earlier_attempts as (

        select
            earlier.attempt_key,
            max_by(earlier.outcome, {{ fields(at='earlier.occurred_at', id='earlier.statement_id') }}) as outcome
        from {{ ref('int_evidence') }} as earlier
        inner join attempts on earlier.attempt_key = attempts.attempt_key
        where earlier.load_id <= {{ finished_load() }}
        group by earlier.attempt_key

    ),
{% else %}
    to_fold as (

        select
            person_key,
            competency,
            attempt_key,
            repeat_key,
            only_latest,
            occurred_at,
            statement_id,
            outcome,
            weight,
            difficulty,
            slope,
            guess,
            slip
        from {{ ref('int_evidence') }}

    ),
{% endif %}

in_force as (

    {{ in_force('to_fold') }}

),

in_sequence as (

    {{ in_sequence('in_force') }}

),

discounted as (

    select
        in_sequence.person_key,
        in_sequence.competency,
        in_sequence.occurred_at,
        in_sequence.statement_id,
        in_sequence.later_pieces,
        in_sequence.counted_weight
        {%- if is_incremental() %} * pow(parameters.repetition, coalesce(repeated.pieces, 0)) {%- endif %} as weight,
        in_sequence.outcome,
        {{ discount('fast', 'in_sequence.occurred_at', 'in_sequence.person_newest_at', 'in_sequence.later_pieces', 'in_sequence.later_on_same') }},
        {{ discount('slow', 'in_sequence.occurred_at', 'in_sequence.person_newest_at', 'in_sequence.later_pieces') }},
        in_sequence.slope,
        in_sequence.guess,
        in_sequence.slip,
        {% if is_incremental() -%}
            {{ logit_at_zero(
                'in_sequence',
                'coalesce(in_sequence.previous_outcome, case when not in_sequence.only_latest then earlier_attempts.outcome end)',
                '(in_sequence.earlier_on_same + coalesce(previous.evidence_count, 0))'
            ) }}
        {%- else -%}
            {{ logit_at_zero('in_sequence', 'in_sequence.previous_outcome', 'in_sequence.earlier_on_same') }}
        {%- endif %} as logit_at_zero
    from in_sequence
    inner join {{ ref('estimator_competencies') }} as competencies on in_sequence.competency = competencies.competency
    cross join parameters
    {% if is_incremental() %}
        left join earlier_attempts
            on in_sequence.is_in_order and in_sequence.attempt_key = earlier_attempts.attempt_key
        left join previous
            on
                in_sequence.is_in_order
                and in_sequence.person_key = previous.person_key
                and in_sequence.competency = previous.competency
        left join repeated
            on
                in_sequence.is_in_order
                and in_sequence.repeat_key = repeated.repeat_key
                and {{ utc_day('in_sequence.occurred_at') }} = repeated.day
    {% endif %}

),

likelihoods as (

    select
        *,
        {% for k in points() -%}
            {{ likelihood(k) }} as likelihood_{{ '%02d' % k }}{{ ',' if not loop.last }}
        {% endfor %}
    from discounted

),

folded as (

    select
        person_key,
        competency,
        max(later_pieces) + 1 as pieces,
        max(occurred_at) as newest_at,
        max({{ fields(at='occurred_at', id='statement_id') }}).id as newest_statement_id,
        count(*) as evidence_count,
        sum(fast_discount * weight) as evidence_weight,
        max(occurred_at) as last_evidence_at,
        {% for k in points() -%}
            sum(fast_discount * likelihood_{{ '%02d' % k }}) as fast_{{ '%02d' % k }},
            sum(slow_discount * likelihood_{{ '%02d' % k }}) as slow_{{ '%02d' % k }}{{ ',' if not loop.last }}
        {% endfor %}
    from likelihoods
    group by person_key, competency

),

{% if is_incremental() %}
    together as (

        -- What was folded just now, and what stood here of the same people. Each is read once, for Spark plans it anew each time.
        select
            person_key,
            competency,
            pieces,
            newest_at,
            newest_statement_id,
            evidence_count,
            evidence_weight,
            last_evidence_at,
            {{ (grid_columns('fast') + grid_columns('slow')) | join(',\n            ') }},
            true as is_new,
            true as is_in_order
        from folded

        union all

        select
            previous.person_key,
            previous.competency,
            previous.pieces,
            previous.newest_at,
            previous.newest_statement_id,
            previous.evidence_count,
            previous.evidence_weight,
            previous.last_evidence_at,
            {% for k in grid_columns('fast') + grid_columns('slow') -%}
                previous.{{ k }},
            {% endfor -%}
            false as is_new,
            people.is_in_order
        from previous
        inner join people on previous.person_key = people.person_key

    ),

    placed as (

        select
            *,
            max(case when is_new then pieces end) over (partition by person_key) as new_pieces,
            max(case when not is_new and is_in_order then pieces end) over (partition by person_key) as carried_pieces,
            max(case when is_new then newest_at end) over (partition by person_key) as person_newest_at,
            max(case when is_new then {{ fields(at='newest_at', id='newest_statement_id') }} end)
                over (partition by person_key) as newest,
            sum(case when is_new then evidence_count else 0 end) over (partition by person_key, competency) as new_on_same
        from together

    ),

    carried as (

        select
            placed.*,
            {{ discount('fast', 'placed.newest_at', 'placed.person_newest_at', 'placed.new_pieces', 'placed.new_on_same') }},
            {{ discount('slow', 'placed.newest_at', 'placed.person_newest_at', 'placed.new_pieces') }}
        from placed
        cross join parameters
        where placed.new_pieces is not null and placed.is_in_order

    ),

    merged as (

        select
            person_key,
            competency,
            max(new_pieces) + coalesce(max(carried_pieces), 0) as pieces,
            max(person_newest_at) as newest_at,
            max(newest).id as newest_statement_id,
            sum(evidence_count) as evidence_count,
            sum(evidence_weight * case when is_new then 1 else fast_discount end) as evidence_weight,
            max(last_evidence_at) as last_evidence_at,
            {% for k in grid_columns('fast') + grid_columns('slow') -%}
                sum({{ k }} * case when is_new then 1 else {{ k[:4] }}_discount end) as {{ k }}{{ ',' if not loop.last }}
            {% endfor %}
        from carried
        group by person_key, competency

    ),

    withdrawn as (

        -- All evidence of these people was withdrawn: a row that counts none replaces what stood here.
        select
            person_key,
            min(competency) as competency,
            0 as pieces,
            max(newest_at) as newest_at,
            max(newest_statement_id) as newest_statement_id,
            0 as evidence_count,
            0 as evidence_weight,
            max(last_evidence_at) as last_evidence_at,
            {% for k in grid_columns('fast') + grid_columns('slow') -%}
                0 as {{ k }}{{ ',' if not loop.last }}
            {% endfor %}
        from placed
        where new_pieces is null and not is_in_order
        group by person_key

    )

    select
        changed.*,
        progress.load_id
    from (
        select * from merged
        union all
        select * from withdrawn
    ) as changed
    cross join {{ source('lake', 'progress') }} as progress
{% else %}
    folded_people as (

        select
            person_key,
            max(pieces) as pieces,
            max(newest_at) as newest_at,
            max({{ fields(at='newest_at', id='newest_statement_id') }}).id as newest_statement_id
        from folded
        group by person_key

    ),

    final as (

        select
            folded.person_key,
            folded.competency,
            folded_people.pieces,
            folded_people.newest_at,
            folded_people.newest_statement_id,
            folded.evidence_count,
            folded.evidence_weight,
            folded.last_evidence_at,
            {{ (grid_columns('fast') + grid_columns('slow')) | join(',\n            ') }},
            progress.load_id
        from folded
        inner join folded_people on folded.person_key = folded_people.person_key
        cross join {{ source('lake', 'progress') }} as progress

    )

    select * from final
{% endif %}
