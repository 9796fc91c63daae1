-- noqa: disable=LT02
-- As of each day: what was known of a level then, by the runs up to that day, and what is known of that day now.
-- A day has a row where either changed; what did not is carried forward.
with runs as (

    select
        history.person_key,
        coalesce(former.competency, history.competency) as competency,
        cast(history.estimated_at as date) as day,
        history.load_id,
        history.level,
        history.reported_level,
        history.ability_mean,
        history.ability_sd,
        history.framework_version,
        history.parameters_version
    from {{ ref('int_level_history') }} as history
    left join {{ ref('framework_former_ids') }} as former on history.competency = former.former_id
    qualify
        row_number() over (
            partition by history.person_key, coalesce(former.competency, history.competency), cast(history.estimated_at as date)
            order by history.load_id desc
        ) = 1

),

joined as (

    select
        coalesce(runs.person_key, days.person_key) as person_key,
        coalesce(runs.competency, days.competency) as competency,
        coalesce(runs.day, days.day) as day,
        runs.level as level_then,
        runs.reported_level as reported_level_then,
        runs.ability_mean as ability_mean_then,
        runs.ability_sd as ability_sd_then,
        runs.framework_version,
        runs.parameters_version,
        days.level as level_now,
        days.ability_mean as ability_mean_now,
        days.ability_sd as ability_sd_now,
        days.evidence_count
    from runs
    full outer join {{ ref('int_level_days') }} as days
        on runs.person_key = days.person_key and runs.competency = days.competency and runs.day = days.day

),

carried as (

    select
        person_key,
        competency,
        day,
        {% for name in ['level_then', 'reported_level_then', 'ability_mean_then', 'ability_sd_then', 'framework_version',
                        'parameters_version', 'level_now', 'ability_mean_now', 'ability_sd_now', 'evidence_count'] -%}
            last_value({{ name }} ignore nulls) over up_to_the_day as {{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from joined
    window up_to_the_day as (partition by person_key, competency order by day)

)

select
    {{ hexadecimal('person_key') }} as person,
    competency,
    day,
    level_then,
    reported_level_then,
    ability_mean_then,
    ability_sd_then,
    level_now,
    ability_mean_now,
    ability_sd_now,
    cast(coalesce(evidence_count, 0) as bigint) as evidence_count,
    framework_version,
    parameters_version
from carried
