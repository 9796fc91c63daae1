-- depends_on: {{ ref('int_touched_statements') }}
{{ config(
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ forget_touched_evidence(this) }}{% endif %}"
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
        case alignments.outcome_kind
            when 'fixed' then alignments.outcome_value
            when 'success' then cast(cast(touched.success as integer) as double)
            when 'completion' then cast(cast(touched.completion as integer) as double)
            else coalesce(
                touched.score_scaled,
                case
                    when touched.score_max > coalesce(touched.score_min, 0)
                        then
                            (touched.score_raw - coalesce(touched.score_min, 0))
                            / (touched.score_max - coalesce(touched.score_min, 0))
                end,
                cast(cast(touched.success as integer) as double),
                cast(cast(touched.completion as integer) as double)
            )
        end as outcome
    from touched
    inner join {{ ref('int_alignments') }} as alignments on touched.alignment_key = alignments.alignment_key
    where
        touched.counts
        and alignments.competency is not null
        and alignments.weight > 0
        and touched.statement_id not in (select statement_id from {{ ref('int_voided_statements') }})

)

select
    read_outcomes.person_key,
    {{ digest("concat_ws('|', cast(read_outcomes.person_key as varchar), read_outcomes.competency, read_outcomes.activity_id)") }}
        as attempt_key,
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
