-- noqa: disable=LT02,LT15
{# What made each estimate: the expected ability followed from prior to posterior while the evidence is let in, its slope
    integrated by the Gauss-Legendre rule with eight nodes (transforms/explanation.py, which says why). -#}
{%- set nodes = [
    (0.019855071751231856, 0.05061426814518813), (0.10166676129318664, 0.11119051722668724),
    (0.2372337950418355, 0.15685332293894363), (0.4082826787521751, 0.18134189168918100),
    (0.5917173212478249, 0.18134189168918100), (0.7627662049581645, 0.15685332293894363),
    (0.8983332387068134, 0.11119051722668724), (0.9801449282487681, 0.05061426814518813),
] -%}

with parameters as (

    select * from {{ ref('estimator_parameters') }}

),

newest_loads as (

    select * from {{ newest_states() }} as newest_states where {{ is_asked_for('person_key') }}

),

estimates as (

    select all_estimates.*
    from {{ ref('int_estimates') }} as all_estimates
    inner join newest_loads
        on all_estimates.person_key = newest_loads.person_key and all_estimates.load_id = newest_loads.load_id

),

states as (

    select
        all_states.person_key,
        all_states.competency,
        {{ list_of(each_point('all_states.fast_{k} - greatest(' ~ grid_columns('all_states.fast') | join(', ') ~ ')')) }} as evidence
    from {{ ref('int_competency_states') }} as all_states
    inner join newest_loads
        on all_states.person_key = newest_loads.person_key and all_states.load_id = newest_loads.load_id
    where all_states.evidence_count > 0

),

abilities as (

    select {{ ordered_list('ability', ['point']) }} as points from {{ ref('estimator_grid') }}

),

masses as (

    select
        estimates.person_key,
        estimates.competency,
        estimates.ability_mean - estimates.gained as mean_before_practice,
        abilities.points,
        {{ dot('estimates.prior', 'abilities.points') }} / {{ total('estimates.prior') }} as prior_mean,
        {% for place, _ in nodes -%}
            {%- set name = 'mass_' ~ loop.index -%}
            {%- set masses = [] -%}
            {%- for k in points() -%}
                {%- do masses.append(element('estimates.prior', k + 1) ~ ' * exp(' ~ place ~ ' * ' ~ element('states.evidence', k + 1) ~ ')') -%}
            {%- endfor -%}
            {{ list_of(masses) }} as {{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from estimates
    inner join states on estimates.person_key = states.person_key and estimates.competency = states.competency
    cross join abilities

),

slopes as (

    select
        person_key,
        competency,
        mean_before_practice - prior_mean as moved,
        {% for _, weight in nodes -%}
            {%- set mass = 'mass_' ~ loop.index -%}
            {{ mass }},
            {{ weight }} / {{ total(mass) }} as share_{{ loop.index }},
            {{ dot(mass, 'points') }} / {{ total(mass) }} as mean_{{ loop.index }}{{ ',' if not loop.last }}
        {% endfor %}
    from masses

),

directions as (

    select
        person_key,
        competency,
        moved,
        {% for k in points() -%}
            {% for _ in nodes -%}
                share_{{ loop.index }} * {{ element('mass_' ~ loop.index, k + 1) }} * ({{ ability(k) }} - mean_{{ loop.index }})
                {{- ' + ' if not loop.last }}
            {%- endfor %} as direction_{{ '%02d' % k }}{{ ',' if not loop.last }}
        {% endfor %}
    from slopes

),

in_force as (

    select * from {{ ref('int_evidence_in_force') }}

),

pieces as (

    {{ in_sequence('in_force') }}

),

discounted as (

    select
        pieces.person_key,
        pieces.competency,
        pieces.statement_id,
        pieces.outcome,
        pieces.slope,
        pieces.guess,
        pieces.slip,
        pieces.counted_weight as weight,
        {{ discount('fast', 'pieces.occurred_at', 'pieces.person_newest_at', 'pieces.later_pieces', 'pieces.later_on_same') }},
        {{ logit_at_zero('pieces', 'pieces.previous_outcome', 'pieces.earlier_on_same') }} as logit_at_zero
    from pieces
    inner join {{ ref('estimator_competencies') }} as competencies on pieces.competency = competencies.competency
    cross join parameters

),

raw as (

    select
        discounted.person_key,
        discounted.competency,
        discounted.statement_id,
        discounted.fast_discount,
        directions.moved,
        discounted.fast_discount * (
            {% for k in points() -%}
                directions.direction_{{ '%02d' % k }} * {{ likelihood(k) }}{{ ' + ' if not loop.last }}
            {% endfor %}
        ) as contribution
    from discounted
    inner join directions
        on discounted.person_key = directions.person_key and discounted.competency = directions.competency

),

sums as (

    select
        person_key,
        competency,
        min(moved) - sum(contribution) as rest,
        sum(abs(contribution)) as size,
        count(*) as pieces
    from raw
    group by person_key, competency

),

explained as (

    select
        raw.person_key,
        raw.competency,
        'evidence' as component,
        raw.statement_id,
        raw.contribution
        + sums.rest * case when sums.size > 0 then abs(raw.contribution) / sums.size else 1.0 / sums.pieces end
            as contribution,
        raw.fast_discount as share_left
    from raw
    inner join sums on raw.person_key = sums.person_key and raw.competency = sums.competency

    union all

    select
        estimates.person_key,
        estimates.competency,
        'other competencies' as component,
        null as statement_id,
        {{ dot('estimates.prior', 'abilities.points') }} / {{ total('estimates.prior') }} as contribution,
        null as share_left
    from estimates
    cross join abilities

    union all

    select
        person_key,
        competency,
        'practice' as component,
        null as statement_id,
        gained as contribution,
        null as share_left
    from estimates
    where evidence_count > 0

)

select
    {{ hexadecimal('explained.person_key') }} as person,
    explained.competency,
    explained.component,
    cast(explained.contribution as double) as contribution,
    explained.share_left,
    cast(explained.statement_id as string) as statement_id,
    evidence.activity_id,
    evidence.activity_name,
    evidence.outcome,
    evidence.counted_weight as weight,
    evidence.level as pitched_level,
    evidence.occurred_at,
    evidence.rule_name
from explained
left join in_force as evidence
    on
        explained.statement_id = evidence.statement_id
        and explained.person_key = evidence.person_key
        and explained.competency = evidence.competency
