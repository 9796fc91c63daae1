-- Each person beside each role: for every competency that the role requires, whether its level is met, and by how much not.
with requirements as (

    select
        requirements.role,
        roles.role_name,
        requirements.competency,
        requirements.required_level,
        levels.level_name as required_level_name,
        levels.cut as required_ability
    from {{ ref('role_requirements') }} as requirements
    inner join {{ ref('roles') }} as roles on requirements.role = roles.role
    inner join {{ ref('framework_levels') }} as levels on requirements.required_level = levels.level

)

select
    levels.person,
    requirements.role,
    requirements.role_name,
    requirements.competency,
    levels.competency_name,
    requirements.required_level,
    requirements.required_level_name,
    levels.level as estimated_level,
    levels.reported_level,
    case requirements.required_level
        when 1 then levels.p_at_least_1
        when 2 then levels.p_at_least_2
        when 3 then levels.p_at_least_3
        else levels.p_at_least_4
    end as p_met,
    greatest(requirements.required_level - levels.reported_level, 0) as levels_short,
    greatest(requirements.required_ability - levels.ability_mean, 0) as ability_short,
    levels.insufficient_evidence,
    levels.criteria_open,
    case
        when levels.insufficient_evidence then 'insufficient evidence'
        when levels.reported_level >= requirements.required_level then 'met'
        when levels.level >= requirements.required_level then 'criteria open'
        else 'short'
    end as status
from {{ ref('mart_levels') }} as levels
inner join requirements on levels.competency = requirements.competency
