{{ config(unique_key='alignment_key', incremental_strategy='append') }}

-- What the rules make of each kind of statement: evaluated once for a kind, however many statements are of it.
with signatures as (

    select
        alignment_key,
        min(verb_id) as verb_id,
        min(activity_id) as activity_id,
        min(activity_type) as activity_type,
        min(activity_name) as activity_name,
        min(platform) as platform,
        min(source) as source,
        min(course_ids) as course_ids,
        min(features) as features
    from {{ ref('stg_statements') }}
    where load_id > {{ finished_load() }}
    group by alignment_key

),

new_signatures as (

    select signatures.*
    from signatures
    {% if is_incremental() %}
        left join {{ this }} as known on signatures.alignment_key = known.alignment_key
        where known.alignment_key is null
    {% endif %}

),

matches as (

    select
        new_signatures.alignment_key,
        rules.rule_number,
        rules.rule_name,
        rules.competency,
        rules.level,
        rules.weight,
        rules.guess,
        rules.slip,
        rules.outcome_kind,
        rules.outcome_value
    from new_signatures
    inner join {{ ref('alignment_rules') }} as rules
        on
            (rules.verb_id is null or rules.verb_id = new_signatures.verb_id)
            and (rules.activity_type is null or rules.activity_type = new_signatures.activity_type)
            and (rules.platform is null or rules.platform = new_signatures.platform)
            and (rules.source is null or rules.source = new_signatures.source)
            and (
                rules.activity_id_like is null
                or new_signatures.activity_id like rules.activity_id_like escape '!'
            )
            and (
                rules.activity_name_like is null
                or lower(new_signatures.activity_name) like lower(rules.activity_name_like) escape '!'
            )
            and (
                rules.course_like is null
                or ' ' || new_signatures.course_ids || ' ' like '% ' || rules.course_like || ' %' escape '!'
            )
            and (
                rules.feature_like is null
                or new_signatures.features like '%"' || rules.feature_like || '"%' escape '!'
            )

),

first_matches as (

    select *
    from matches
    qualify row_number() over (partition by alignment_key, competency order by rule_number) = 1

)

select
    new_signatures.alignment_key,
    new_signatures.verb_id,
    new_signatures.activity_id,
    new_signatures.activity_type,
    new_signatures.activity_name,
    first_matches.rule_name,
    first_matches.competency,
    first_matches.level,
    first_matches.weight,
    first_matches.guess,
    first_matches.slip,
    first_matches.outcome_kind,
    first_matches.outcome_value
from new_signatures
left join first_matches on new_signatures.alignment_key = first_matches.alignment_key
