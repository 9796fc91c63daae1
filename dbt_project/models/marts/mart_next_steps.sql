-- For each person and role the activities that are worth doing next: within reach, on what the role lacks most, and such
-- that their outcome would tell most. The chance of success is the logistic-normal integral as MacKay (1992) approximates it;
-- what an outcome tells is its Fisher information.
with offered as (

    -- Graded activities that others can do too.
    select
        alignments.activity_id,
        alignments.activity_name,
        alignments.competency,
        alignments.level,
        alignments.weight,
        levels.difficulty + competencies.difficulty + coalesce(calibrated.difficulty, 0) as difficulty,
        parameters.slope * coalesce(calibrated.slope, 1) as slope,
        coalesce(alignments.guess, parameters.guess) as guess,
        coalesce(alignments.slip, parameters.slip) as slip,
        activities.people,
        floor(4 * (levels.difficulty + coalesce(calibrated.difficulty, 0))) as alike,
        row_number() over (
            partition by alignments.activity_id, alignments.competency
            order by
                alignments.weight desc, alignments.level asc, alignments.rule_name asc, alignments.guess asc nulls last,
                alignments.slip asc nulls last, alignments.activity_name asc nulls last, alignments.alignment_key asc
        ) as place
    from {{ ref('int_alignments') }} as alignments
    inner join {{ ref('dim_activity') }} as activities on alignments.activity_id = activities.activity_id
    inner join {{ ref('framework_levels') }} as levels on alignments.level = levels.level
    inner join {{ ref('estimator_competencies') }} as competencies on alignments.competency = competencies.competency
    left join {{ ref('estimator_activities') }} as calibrated on alignments.activity_id = calibrated.activity_id
    cross join {{ ref('estimator_parameters') }} as parameters
    where
        alignments.evidence_kind = 'graded'
        and alignments.weight > 0
        and (activities.people > 1 or not alignments.only_latest)

),

placed as (

    select
        *,
        row_number() over (partition by competency, alike order by people desc, activity_id asc) as place_among_alike
    from offered
    where place = 1

),

catalogue as (

    -- Of a competency and difficulty, the few that most people did.
    select * from placed where place_among_alike <= 5

),

estimates as (

    select all_estimates.*
    from {{ ref('int_estimates') }} as all_estimates
    inner join {{ newest_states() }} as newest
        on all_estimates.person_key = newest.person_key and all_estimates.load_id = newest.load_id

),

attempts as (

    select
        evidence.person_key,
        evidence.competency,
        evidence.activity_id,
        max(evidence.outcome) as best_outcome
    from {{ ref('int_evidence') }} as evidence
    inner join catalogue on evidence.activity_id = catalogue.activity_id and evidence.competency = catalogue.competency
    group by evidence.person_key, evidence.competency, evidence.activity_id

),

chances as (

    select
        estimates.person_key,
        catalogue.competency,
        catalogue.activity_id,
        catalogue.slope,
        catalogue.weight,
        catalogue.guess + (1 - catalogue.guess - catalogue.slip) / (
            1 + exp(
                catalogue.slope * (catalogue.difficulty - estimates.ability_mean)
                / sqrt(1 + pi() / 8 * catalogue.slope * catalogue.slope * estimates.ability_sd * estimates.ability_sd)
            )
        ) as chance
    from estimates
    inner join catalogue on estimates.competency = catalogue.competency

),

within_reach as (

    select
        chances.person_key,
        chances.competency,
        chances.activity_id,
        chances.chance,
        chances.weight * chances.slope * chances.slope * chances.chance * (1 - chances.chance) as information,
        attempts.activity_id is not null as tried_before,
        row_number() over (
            partition by chances.person_key, chances.competency
            -- Rounded, for of activities alike the last bit would decide.
            order by round(chances.weight * chances.slope * chances.slope * chances.chance * (1 - chances.chance), 9) desc, chances.activity_id asc
        ) as place
    from chances
    left join attempts
        on
            chances.person_key = attempts.person_key
            and chances.competency = attempts.competency
            and chances.activity_id = attempts.activity_id
    where chances.chance between 0.55 and 0.85 and coalesce(attempts.best_outcome, 0) < 0.5

),

reachable as (

    select * from within_reach where place <= 2

),

lacking as (

    select
        estimates.person_key,
        requirements.role,
        requirements.competency,
        requirements.required_level,
        case requirements.required_level
            when 1 then estimates.p_at_least_1
            when 2 then estimates.p_at_least_2
            when 3 then estimates.p_at_least_3
            else estimates.p_at_least_4
        end as p_met
    from {{ ref('role_requirements') }} as requirements
    inner join estimates on requirements.competency = estimates.competency

),

ranked as (

    select
        lacking.person_key,
        lacking.role,
        lacking.competency,
        lacking.required_level,
        lacking.p_met,
        reachable.activity_id,
        reachable.chance,
        reachable.tried_before,
        (1 - lacking.p_met) * reachable.information as worth,
        row_number() over (
            partition by lacking.person_key, lacking.role
            order by round((1 - lacking.p_met) * reachable.information, 9) desc, reachable.activity_id asc
        ) as step
    from lacking
    inner join reachable on lacking.person_key = reachable.person_key and lacking.competency = reachable.competency
    where lacking.p_met < 0.9

)

select
    {{ hexadecimal('ranked.person_key') }} as person,
    ranked.role,
    roles.role_name,
    cast(ranked.step as integer) as step,
    ranked.activity_id,
    catalogue.activity_name,
    ranked.competency,
    competencies.competency_name,
    catalogue.level as pitched_level,
    ranked.chance as chance_of_success,
    ranked.p_met,
    ranked.worth,
    concat(
        competencies.competency_name, ' is required at ', required.level_name, ' and reached with probability ',
        cast(cast(round(100 * ranked.p_met) as integer) as string), ' %; the chance of success here is ',
        cast(cast(round(100 * ranked.chance) as integer) as string), ' %',
        case when ranked.tried_before then ', tried before without success.' else ', not tried yet.' end
    ) as reason
from ranked
inner join {{ ref('roles') }} as roles on ranked.role = roles.role
inner join {{ ref('framework_competencies') }} as competencies on ranked.competency = competencies.competency
inner join {{ ref('framework_levels') }} as required on ranked.required_level = required.level
inner join catalogue on ranked.activity_id = catalogue.activity_id and ranked.competency = catalogue.competency
where ranked.step <= 5
