{{ config(materialized='view') }}

-- For each person and competency that has criteria: which are met, which are open, and the highest level that they allow.
with people as (

    -- Nobody where there are no criteria: then nothing of what follows is read.
    select distinct person_key
    from {{ ref('int_competency_states') }}
    where exists (select 1 from {{ ref('criteria') }})

),

asked_for as (

    select *
    from {{ ref('int_evidence') }}
    where competency in (select competency from {{ ref('criteria') }})

),

in_force as (

    {{ in_force('asked_for') }}

),

conditions_met as (

    select
        evidence.person_key,
        conditions.criterion,
        conditions.alternative_number,
        conditions.condition_number
    from {{ ref('criteria_conditions') }} as conditions
    inner join {{ ref('criteria') }} as criteria on conditions.criterion = criteria.criterion
    inner join in_force as evidence
        on
            criteria.competency = evidence.competency
            and conditions.least_level <= evidence.level
            and conditions.least_outcome <= evidence.outcome
            and (conditions.activity is null or evidence.activity_id like conditions.activity escape '!')
    inner join {{ ref('alignment_rules') }} as rules
        on
            evidence.rule_name = rules.rule_name
            and (conditions.kinds is null or concat(' ', conditions.kinds, ' ') like concat('% ', rules.evidence_kind, ' %'))
    group by
        evidence.person_key, conditions.criterion, conditions.alternative_number, conditions.condition_number,
        conditions.least_count
    having count(*) >= conditions.least_count

),

alternatives as (

    select
        criterion,
        alternative_number,
        count(*) as conditions
    from {{ ref('criteria_conditions') }}
    group by criterion, alternative_number

),

alternatives_met as (

    select
        conditions_met.person_key,
        conditions_met.criterion
    from conditions_met
    inner join alternatives
        on
            conditions_met.criterion = alternatives.criterion
            and conditions_met.alternative_number = alternatives.alternative_number
    group by conditions_met.person_key, conditions_met.criterion, conditions_met.alternative_number, alternatives.conditions
    having count(*) = alternatives.conditions

),

criteria_met as (

    select distinct
        person_key,
        criterion
    from alternatives_met

)

select
    people.person_key,
    criteria.competency,
    {{ join_text(ordered_list('criteria.criterion', ['criteria.level', 'criteria.criterion'], 'criteria_met.criterion is not null'), ', ') }}
        as criteria_met,
    {{ join_text(ordered_list('criteria.criterion', ['criteria.level', 'criteria.criterion'], 'criteria_met.criterion is null'), ', ') }}
        as criteria_open,
    min(case when criteria_met.criterion is null then criteria.level - 1 end) as allowed_level
from people
cross join {{ ref('criteria') }} as criteria
left join criteria_met on people.person_key = criteria_met.person_key and criteria.criterion = criteria_met.criterion
group by people.person_key, criteria.competency
