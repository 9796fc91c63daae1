-- noqa: disable=LT02
{{ config(
    incremental_strategy='append',
    partition_by=buckets_of('person_key'),
    pre_hook="{% if is_incremental() %}{{ forget_unfinished(this) }}{% endif %}"
) }}

{#- The posterior of every competency of each person with new evidence, by messages between the competencies and the
    general ability. What counts of a person are the estimates of the newest load among their states: see
    newest_states. transforms/estimator.py is the same in numpy (`estimate`). -#}

with transition as (

    -- Rows and columns of the matrix T(g, θ), each as a list, so that a message is a dot product.
    select
        {% for k in points() -%}
            {{ ordered_list('transitions.probability', ['transitions.point'], 'transitions.general_point = ' ~ k) }}
                as row_{{ '%02d' % k }},
            {{ ordered_list('transitions.probability', ['transitions.general_point'], 'transitions.point = ' ~ k) }}
                as column_{{ '%02d' % k }}
            {{- ',' if not loop.last }}
        {% endfor %}
    from {{ ref('estimator_transition') }} as transitions

),

grid as (

    select
        {{ ordered_list('ln(general_prior)', ['point']) }} as log_prior,
        {{ ordered_list('ability', ['point']) }} as abilities,
        {{ ordered_list('ability * ability', ['point']) }} as squares
    from {{ ref('estimator_grid') }}

),

cuts as (

    select
        {% for level in range(1, 5) -%}
            max(cut) filter (where level = {{ level }}) as cut_{{ level }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('framework_levels') }}

),

states as (

    select
        all_states.*,
        greatest({{ grid_columns('slow') | join(', ') }}) as slow_peak,
        greatest({{ grid_columns('fast') | join(', ') }}) as fast_peak
    from {{ ref('int_competency_states') }} as all_states
    where all_states.load_id > {{ finished_load() }} and all_states.evidence_count > 0

),

slow_weights as (

    select
        person_key,
        competency,
        {{ list_of(each_point('exp(slow_{k} - slow_peak)')) }} as weights
    from states

),

messages as (

    select
        slow_weights.person_key,
        slow_weights.competency,
        {% for g in points() -%}
            ln({{ dot('slow_weights.weights', 'transition.row_%02d' % g) }}) as message_{{ '%02d' % g }}
            {{- ',' if not loop.last }}
        {% endfor %}
    from slow_weights
    cross join transition

),

message_sums as (

    select
        person_key,
        {% for g in points() -%}
            sum(message_{{ '%02d' % g }}) as total_{{ '%02d' % g }}{{ ',' if not loop.last }}
        {% endfor %}
    from messages
    group by person_key

),

general_without_own as (

    select
        message_sums.person_key,
        competencies.competency,
        {% for g in points() -%}
            {{ element('grid.log_prior', g + 1) }}
            + message_sums.total_{{ '%02d' % g }}
            - coalesce(messages.message_{{ '%02d' % g }}, 0) as log_{{ '%02d' % g }}{{ ',' if not loop.last }}
        {% endfor %}
    from message_sums
    cross join {{ ref('framework_competencies') }} as competencies
    cross join grid
    left join messages
        on message_sums.person_key = messages.person_key and competencies.competency = messages.competency

),

general_peaks as (

    select
        *,
        greatest({{ grid_columns('log') | join(', ') }}) as log_peak
    from general_without_own

),

general_weights as (

    select
        person_key,
        competency,
        {{ list_of(each_point('exp(log_{k} - log_peak)')) }} as weights
    from general_peaks

),

weighed as (

    select
        general_weights.person_key,
        general_weights.competency,
        general_weights.weights,
        coalesce(states.evidence_count, 0) as evidence_count,
        coalesce(states.evidence_weight, 0) as evidence_weight,
        states.last_evidence_at,
        {{ list_of(each_point('coalesce(exp(states.fast_{k} - states.fast_peak), 1)')) }} as fast_weights,
        competencies.practice * {{ practised('coalesce(states.evidence_count, 0)') }} as gained
    from general_weights
    cross join {{ ref('estimator_parameters') }} as parameters
    inner join {{ ref('estimator_competencies') }} as competencies
        on general_weights.competency = competencies.competency
    left join states
        on general_weights.person_key = states.person_key and general_weights.competency = states.competency

),

unnormalised as (

    select
        weighed.person_key,
        weighed.competency,
        weighed.evidence_count,
        weighed.evidence_weight,
        weighed.last_evidence_at,
        weighed.gained,
        {% for k in points() -%}
            {{ dot('weighed.weights', 'transition.column_%02d' % k) }} as prior_{{ '%02d' % k }},
            prior_{{ '%02d' % k }} * {{ element('weighed.fast_weights', k + 1) }} as mass_{{ '%02d' % k }}{{ ',' if not loop.last }}
        {% endfor %}
    from weighed
    cross join transition

),

totals as (

    select
        *,
        {{ grid_columns('mass') | join(' + ') }} as total
    from unnormalised

),

posteriors as (

    select
        person_key,
        competency,
        evidence_count,
        evidence_weight,
        last_evidence_at,
        gained,
        {{ list_of(each_point('prior_{k}')) }} as prior,
        {{ list_of(each_point('mass_{k} / total')) }} as posterior,
        {% for k in points() -%}
            ({{ grid_columns('mass')[:k + 1] | join(' + ') }}) / total as below_{{ '%02d' % k }}{{ ',' if not loop.last }}
        {% endfor %}
    from totals

),

summarised as (

    select
        posteriors.person_key,
        posteriors.competency,
        posteriors.evidence_count,
        posteriors.evidence_weight,
        posteriors.last_evidence_at,
        posteriors.gained,
        posteriors.prior,
        {{ dot('posteriors.posterior', 'grid.abilities') }} as mean_before_practice,
        grid.squares,
        posteriors.posterior,
        {% for share, name in [(0.05, 'ability_low'), (0.95, 'ability_high')] -%}
            case
                {% for k in points() -%}
                    {{ 'when below_%02d >= %s then' % (k, share) if not loop.last else 'else' }}
                    {{ ability(k) }} + {{ var('grid_step') }}
                    * (({{ share }} - below_{{ '%02d' % k }}) / {{ element('posterior', k + 1) }} + 0.5)
                {% endfor -%}
            end + posteriors.gained as {{ name }},
        {% endfor -%}
        {% for level in range(1, 5) -%}
            {% for k in points() -%}
                {{ element('posterior', k + 1) }} * {{ share_above(k, 'cuts.cut_%s - posteriors.gained' % level) }}{{ ' + ' if not loop.last }}
            {%- endfor %} as p_at_least_{{ level }}{{ ',' if not loop.last }}
        {% endfor %}
    from posteriors
    cross join grid
    cross join cuts

)

select
    summarised.person_key,
    summarised.competency,
    summarised.evidence_count,
    summarised.evidence_weight,
    summarised.last_evidence_at,
    summarised.gained,
    summarised.prior,
    summarised.mean_before_practice + summarised.gained as ability_mean,
    sqrt(
        greatest({{ dot('summarised.posterior', 'summarised.squares') }} - mean_before_practice * mean_before_practice, 0)
    ) as ability_sd,
    summarised.ability_low,
    summarised.ability_high,
    summarised.p_at_least_1,
    summarised.p_at_least_2,
    summarised.p_at_least_3,
    summarised.p_at_least_4,
    case
        when p_at_least_4 >= 0.5 then 4
        when p_at_least_3 >= 0.5 then 3
        when p_at_least_2 >= 0.5 then 2
        when p_at_least_1 >= 0.5 then 1
        else 0
    end as level,
    progress.load_id
from summarised
cross join {{ source('lake', 'progress') }} as progress
