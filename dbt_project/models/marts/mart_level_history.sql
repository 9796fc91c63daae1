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

),

last_runs as (

    select *
    from (
        select
            *,
            row_number() over (partition by person_key, competency, day order by load_id desc) as place
        from runs
    ) as placed
    where place = 1

),

joined as (

    select
        coalesce(last_runs.person_key, days.person_key) as person_key,
        coalesce(last_runs.competency, days.competency) as competency,
        coalesce(last_runs.day, days.day) as day,
        last_runs.level as level_then,
        last_runs.reported_level as reported_level_then,
        last_runs.ability_mean as ability_mean_then,
        last_runs.ability_sd as ability_sd_then,
        last_runs.framework_version,
        last_runs.parameters_version,
        days.level as level_now,
        days.ability_mean as ability_mean_now,
        days.ability_sd as ability_sd_now,
        days.evidence_count
    from last_runs
    full outer join {{ ref('int_level_days') }} as days
        on last_runs.person_key = days.person_key and last_runs.competency = days.competency and last_runs.day = days.day

),

carried as (

    select
        person_key,
        competency,
        day,
        {% for name in ['level_then', 'reported_level_then', 'ability_mean_then', 'ability_sd_then', 'framework_version',
                        'parameters_version', 'level_now', 'ability_mean_now', 'ability_sd_now', 'evidence_count'] -%}
            {{ last_known(name) }} over up_to_the_day as {{ name }}{{ ',' if not loop.last }}
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
