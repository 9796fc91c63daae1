with estimates as (

    select all_estimates.*
    from {{ ref('int_estimates') }} as all_estimates
    inner join {{ newest_states() }} as newest
        on all_estimates.person_key = newest.person_key and all_estimates.load_id = newest.load_id

),

parameters as (

    select * from {{ ref('estimator_parameters') }}

)

select
    {{ hexadecimal('estimates.person_key') }} as person,
    estimates.competency,
    competencies.competency_name,
    groups.group_name,
    estimates.level,
    coalesce(levels.level_name, 'Below ' || first_level.level_name) as level_name,
    estimates.p_at_least_1,
    estimates.p_at_least_2,
    estimates.p_at_least_3,
    estimates.p_at_least_4,
    estimates.ability_mean,
    estimates.ability_sd,
    estimates.ability_low,
    estimates.ability_high,
    cast(estimates.evidence_count as bigint) as evidence_count,
    estimates.evidence_weight,
    estimates.evidence_weight < parameters.minimum_weight as insufficient_evidence,
    estimates.last_evidence_at,
    coalesce(
        {{ days_between('estimates.last_evidence_at', as_of()) }} > parameters.half_life_days, false
    ) as stale,
    parameters.framework_version,
    parameters.parameters_version
from estimates
cross join parameters
inner join {{ ref('framework_competencies') }} as competencies on estimates.competency = competencies.competency
inner join {{ ref('framework_competency_groups') }} as groups on competencies.group_id = groups.group_id
inner join {{ ref('framework_levels') }} as first_level on first_level.level = 1
left join {{ ref('framework_levels') }} as levels on estimates.level = levels.level
