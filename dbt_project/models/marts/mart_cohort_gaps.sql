-- For everyone and for each team: how many people have what each competency of a role requires.
-- A cohort of fewer people than publish.least_group is left out.
with cohorts as (

    select
        {{ hexadecimal('person_key') }} as person,
        value as cohort
    from {{ source('lake', 'attributes') }}
    where attribute = 'team'

    union all

    select
        person,
        'everyone' as cohort
    from {{ ref('mart_people') }}

)

select
    cohorts.cohort,
    gaps.role,
    gaps.role_name,
    gaps.competency,
    gaps.competency_name,
    gaps.required_level,
    gaps.required_level_name,
    count(*) as people,
    cast(sum(case when gaps.status = 'met' then 1 else 0 end) as bigint) as people_met,
    cast(sum(case when gaps.insufficient_evidence then 1 else 0 end) as bigint) as people_without_evidence,
    sum(gaps.p_met) as expected_met,
    avg(cast(gaps.levels_short as double)) as mean_levels_short
from cohorts
inner join {{ ref('mart_role_gaps') }} as gaps on cohorts.person = gaps.person
group by
    cohorts.cohort, gaps.role, gaps.role_name, gaps.competency, gaps.competency_name, gaps.required_level, gaps.required_level_name
having count(*) >= {{ least_group() }}
