with estimates as (

    select all_estimates.*
    from {{ ref('int_estimates') }} as all_estimates
    inner join {{ newest_states() }} as newest
        on all_estimates.person_key = newest.person_key and all_estimates.load_id = newest.load_id

),

parameters as (

    select * from {{ ref('estimator_parameters') }}

),

self_assessments as (

    -- What the person said of themselves last; it weighs little in the estimate and is told apart here.
    select
        evidence.person_key,
        evidence.competency,
        max_by(evidence.level, {{ fields(at='evidence.occurred_at', level='evidence.level') }}) as self_assessed_level
    from {{ ref('int_evidence') }} as evidence
    inner join {{ ref('alignment_rules') }} as rules on evidence.rule_name = rules.rule_name
    where rules.evidence_kind = 'self' and evidence.outcome >= 0.5
    group by evidence.person_key, evidence.competency

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
    least(estimates.level, coalesce(gates.allowed_level, estimates.level)) as reported_level,
    coalesce(reported.level_name, 'Below ' || first_level.level_name) as reported_level_name,
    coalesce(gates.criteria_met, '') as criteria_met,
    coalesce(gates.criteria_open, '') as criteria_open,
    self_assessments.self_assessed_level,
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
left join {{ ref('int_gates') }} as gates
    on estimates.person_key = gates.person_key and estimates.competency = gates.competency
left join {{ ref('framework_levels') }} as reported
    on least(estimates.level, coalesce(gates.allowed_level, estimates.level)) = reported.level
left join self_assessments
    on estimates.person_key = self_assessments.person_key and estimates.competency = self_assessments.competency
