-- For each competency and level: which activities could show it, and what they have shown so far.
with activities as (

    select
        competency,
        level,
        count(distinct activity_id) as activities
    from {{ ref('int_alignments') }}
    where competency is not null and weight > 0
    group by competency, level

),

evidence as (

    select
        competency,
        level,
        count(*) as pieces,
        count(distinct person_key) as people,
        max(occurred_at) as last_at
    from {{ ref('int_evidence') }}
    group by competency, level

)

select
    competencies.competency,
    competencies.competency_name,
    levels.level,
    levels.level_name,
    coalesce(activities.activities, 0) as activities,
    coalesce(evidence.pieces, 0) as evidence_count,
    coalesce(evidence.people, 0) as people,
    evidence.last_at,
    coalesce(activities.activities, 0) > 0 as is_covered
from {{ ref('framework_competencies') }} as competencies
cross join {{ ref('framework_levels') }} as levels
left join activities on competencies.competency = activities.competency and levels.level = activities.level
left join evidence on competencies.competency = evidence.competency and levels.level = evidence.level
where not competencies.retired
