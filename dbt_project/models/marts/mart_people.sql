with summaries as (

    select
        person,
        sum(case when not insufficient_evidence then 1 else 0 end) as competencies_estimated,
        max(case when not insufficient_evidence then level end) as highest_level,
        avg(case when not insufficient_evidence then ability_mean end) as mean_ability,
        sum(evidence_count) as evidence_count,
        max(last_evidence_at) as last_evidence_at
    from {{ ref('mart_levels') }}
    group by person

)

select
    people.person,
    people.first_seen_at,
    people.last_seen_at,
    summaries.last_evidence_at,
    cast(coalesce(summaries.evidence_count, 0) as bigint) as evidence_count,
    cast(coalesce(summaries.competencies_estimated, 0) as integer) as competencies_estimated,
    summaries.highest_level,
    summaries.mean_ability
from {{ ref('int_people') }} as people
left join summaries on people.person = summaries.person
