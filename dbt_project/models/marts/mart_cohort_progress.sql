-- At the end of each month, for everyone and for each team: how many people stand at which level, by what is known now.
-- A cohort of fewer people than publish.least_group is left out, and what so few of a larger one did: it would tell of persons.
with months as (

    select distinct
        month_start,
        month_end
    from {{ ref('dim_date') }}

),

spells as (

    select
        person_key,
        competency,
        day as from_day,
        lead(day) over (partition by person_key, competency order by day) as next_day,
        level,
        ability_mean,
        evidence_count,
        evidence_count - coalesce(lag(evidence_count) over (partition by person_key, competency order by day), 0) as new_pieces
    from {{ ref('int_level_days') }}

),

cohorts as (

    select
        person_key,
        'everyone' as cohort
    from (select distinct person_key from spells) as people

    union all

    select
        person_key,
        value as cohort
    from {{ source('lake', 'attributes') }}
    where attribute = 'team'

),

standing as (

    select
        cohorts.cohort,
        spells.competency,
        months.month_start,
        count(*) as people,
        {% for level in range(1, 5) -%}
            sum(case when spells.level >= {{ level }} then 1 else 0 end) as people_at_least_{{ level }},
        {% endfor -%}
        avg(spells.ability_mean) as mean_ability
    from spells
    inner join months
        on spells.from_day <= months.month_end and (spells.next_day is null or spells.next_day > months.month_end)
    inner join cohorts on spells.person_key = cohorts.person_key
    group by cohorts.cohort, spells.competency, months.month_start

),

evidence as (

    select
        cohorts.cohort,
        spells.competency,
        cast(date_trunc('month', spells.from_day) as date) as month_start,
        sum(spells.new_pieces) as new_pieces,
        count(distinct spells.person_key) as active_people
    from spells
    inner join cohorts on spells.person_key = cohorts.person_key
    group by cohorts.cohort, spells.competency, cast(date_trunc('month', spells.from_day) as date)

)

select
    standing.cohort,
    standing.competency,
    competencies.competency_name,
    standing.month_start as month,
    standing.people,
    {% for level in range(1, 5) -%}
        cast(standing.people_at_least_{{ level }} as bigint) as people_at_least_{{ level }},
    {% endfor -%}
    standing.mean_ability,
    case
        when evidence.active_people is null then 0
        when evidence.active_people >= {{ least_group() }} then cast(evidence.new_pieces as bigint)
    end as new_evidence,
    case
        when evidence.active_people is null then 0
        when evidence.active_people >= {{ least_group() }} then evidence.active_people
    end as active_people
from standing
inner join {{ ref('framework_competencies') }} as competencies on standing.competency = competencies.competency
left join evidence
    on
        standing.cohort = evidence.cohort
        and standing.competency = evidence.competency
        and standing.month_start = evidence.month_start
where standing.people >= {{ least_group() }}
