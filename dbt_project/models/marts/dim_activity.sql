-- The catalogue: every activity seen, with what it was last called, and what it brought.
with kinds as (

    select
        activity_id,
        max(activity_name) as activity_name,
        max(activity_type) as activity_type,
        count(distinct competency) as competencies,
        coalesce(bool_or(competency is not null and weight > 0), false) as is_aligned
    from {{ ref('int_alignments') }}
    where activity_id is not null
    group by activity_id

),

evidence as (

    select
        activity_id,
        count(*) as pieces,
        count(distinct person_key) as people,
        avg(outcome) as mean_outcome,
        max(occurred_at) as last_at
    from {{ ref('int_evidence') }}
    group by activity_id

)

select
    kinds.activity_id,
    kinds.activity_name,
    kinds.activity_type,
    kinds.is_aligned,
    kinds.competencies,
    coalesce(evidence.pieces, 0) as evidence_count,
    coalesce(evidence.people, 0) as people,
    evidence.mean_outcome,
    coalesce(calibrated.difficulty, 0) as difficulty_deviation,
    coalesce(calibrated.slope, 1) as slope,
    evidence.last_at
from kinds
left join evidence on kinds.activity_id = evidence.activity_id
left join {{ ref('estimator_activities') }} as calibrated on kinds.activity_id = calibrated.activity_id
