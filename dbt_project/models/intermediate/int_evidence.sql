-- depends_on: {{ ref('int_touched_statements') }}
{{ config(
    incremental_strategy='append',
    pre_hook=[
        "{% if is_incremental() %}{{ forget_unfinished(this) }}{% endif %}",
        "{% if is_incremental() %}{{ forget_touched_evidence(this) }}{% endif %}",
    ],
    partition_by=buckets_of('person_key')
) }}

with touched as (

    select * from {{ ref('int_touched_statements') }}

),

read_outcomes as (

    select
        touched.person_key,
        alignments.competency,
        touched.activity_id,
        touched.activity_name,
        alignments.level,
        touched.occurred_at,
        touched.statement_id,
        touched.source,
        alignments.rule_name,
        alignments.weight * touched.share as weight,
        alignments.guess,
        alignments.slip,
        alignments.only_latest,
        alignments.evidence_kind,
        case
            when reverted.activity_id is not null then 0.0
            when alignments.outcome_kind = 'fixed' then alignments.outcome_value
            when alignments.outcome_kind = 'scaled' then touched.score_scaled
            when alignments.outcome_kind = 'raw' then {{ share_of_range('touched') }}
            when alignments.outcome_kind = 'success' then cast(cast(touched.success as integer) as double)
            when alignments.outcome_kind = 'completion' then cast(cast(touched.completion as integer) as double)
            -- Where nothing could be scored, nothing was shown.
            when touched.score_max <= coalesce(touched.score_min, 0) then null
            -- Some platforms scale to [-1, 1], others to [0, 1]: what lies between min and max is told alike by all.
            else coalesce(
                {{ share_of_range('touched') }},
                touched.score_scaled,
                cast(cast(touched.success as integer) as double),
                cast(cast(touched.completion as integer) as double)
            )
        end as outcome
    from touched
    left join {{ ref('int_reverted_activities') }} as reverted on touched.activity_id = reverted.activity_id
    inner join {{ ref('int_alignments') }} as alignments on touched.alignment_key = alignments.alignment_key
    where
        touched.counts
        and alignments.competency is not null
        and alignments.weight > 0
        and touched.statement_id not in (select statement_id from {{ ref('int_voided_statements') }})

)

select
    read_outcomes.person_key,
    {{ digest("concat_ws('|', cast(read_outcomes.person_key as string), read_outcomes.competency, read_outcomes.activity_id)") }}
        as attempt_key,
    case
        -- Of practice that nobody judged, one piece by a rule is much like the next, whatever it was on.
        when read_outcomes.evidence_kind = 'practice'
            then {{ digest("concat_ws('|', cast(read_outcomes.person_key as string), read_outcomes.competency, read_outcomes.rule_name)") }}
        else {{ digest("concat_ws('|', cast(read_outcomes.person_key as string), read_outcomes.competency, read_outcomes.activity_id)") }}
    end as repeat_key,
    read_outcomes.only_latest,
    read_outcomes.competency,
    coalesce(read_outcomes.activity_id, '') as activity_id,
    read_outcomes.activity_name,
    read_outcomes.level,
    levels.difficulty + competencies.difficulty + coalesce(activities.difficulty, 0) as difficulty,
    parameters.slope * coalesce(activities.slope, 1) as slope,
    coalesce(read_outcomes.guess, parameters.guess) as guess,
    coalesce(read_outcomes.slip, parameters.slip) as slip,
    least(greatest(read_outcomes.outcome, 0.0), 1.0) as outcome,
    read_outcomes.weight,
    read_outcomes.occurred_at,
    read_outcomes.statement_id,
    read_outcomes.source,
    read_outcomes.rule_name,
    progress.load_id
from read_outcomes
inner join {{ ref('framework_levels') }} as levels on read_outcomes.level = levels.level
inner join {{ ref('estimator_competencies') }} as competencies on read_outcomes.competency = competencies.competency
left join {{ ref('estimator_activities') }} as activities on read_outcomes.activity_id = activities.activity_id
cross join {{ ref('estimator_parameters') }} as parameters
cross join {{ source('lake', 'progress') }} as progress
where read_outcomes.outcome is not null
