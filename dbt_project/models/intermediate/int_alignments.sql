{{ config(unique_key='alignment_key', incremental_strategy='append') }}

-- What the rules make of each kind of statement: evaluated once for a kind, however many statements are of it. Statements
-- and rules meet by way of patterns: which pattern fits which trait is found once for each distinct trait; a rule is tried
-- only on kinds that satisfy its rarest condition (transforms/patterns.py).
with signatures as (

    select
        alignment_key,
        min(verb_id) as verb_id,
        min(activity_id) as activity_id,
        min(activity_type) as activity_type,
        min(activity_name) as activity_name,
        min(interaction_type) as interaction_type,
        min(platform) as platform,
        min(source) as source,
        min(traits) as traits
    from {{ ref('stg_statements') }}
    where load_id > {{ finished_load() }} and coalesce(verb_id, '') not in {{ verbs_of_levels() }}
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

all_traits as (

    select
        alignment_key,
        {{ joined_lists([
            'traits',
            list_of([
                "'verb:' || verb_id",
                "'id:' || activity_id",
                "'type:' || activity_type",
                "'name:' || lower(activity_name)",
                "'platform:' || platform",
                "'source:' || source",
            ])
        ]) }} as traits
    from new_signatures

),

carried as (

    {{ exploded('all_traits', ['alignment_key'], 'traits', 'trait') }}

),

distinct_traits as (

    select distinct trait from carried

),

patterns as (

    select * from {{ ref('alignment_patterns') }}

),

anchor_lengths as (

    select distinct anchor_length from patterns where anchor_length is not null

),

anchored as (

    select
        distinct_traits.trait,
        anchor_lengths.anchor_length,
        {{ numbers_from_to('1', 'length(distinct_traits.trait) - anchor_lengths.anchor_length + 1') }} as starts
    from distinct_traits
    cross join anchor_lengths

),

places as (

    {{ exploded('anchored', ['trait', 'anchor_length'], 'starts', 'place') }}

),

fitting as (

    select
        distinct_traits.trait,
        patterns.pattern_number
    from distinct_traits
    inner join patterns on patterns.is_exact and distinct_traits.trait = patterns.pattern

    union all

    select
        places.trait,
        patterns.pattern_number
    from places
    inner join patterns on substr(places.trait, places.place, places.anchor_length) = patterns.anchor
    where places.trait like patterns.pattern escape '!'

    union all

    select
        distinct_traits.trait,
        patterns.pattern_number
    from distinct_traits
    inner join patterns
        on not patterns.is_exact and patterns.anchor is null and distinct_traits.trait like patterns.pattern escape '!'

),

satisfied as (

    select distinct
        carried.alignment_key,
        fitting.pattern_number
    from carried
    inner join fitting on carried.trait = fitting.trait

),

frequencies as (

    select
        pattern_number,
        count(*) as signatures
    from satisfied
    group by pattern_number

),

conditions as (

    select * from {{ ref('alignment_conditions') }}

),

rarest_conditions as (

    select
        rule_number,
        min_by(condition_number, {{ fields(signatures='signatures', number='condition_number') }}) as condition_number
    from (
        select
            conditions.rule_number,
            conditions.condition_number,
            sum(coalesce(frequencies.signatures, 0)) as signatures
        from conditions
        left join frequencies on conditions.pattern_number = frequencies.pattern_number
        group by conditions.rule_number, conditions.condition_number
    ) as counted
    group by rule_number

),

candidates as (

    select distinct
        satisfied.alignment_key,
        conditions.rule_number
    from rarest_conditions
    inner join conditions
        on
            rarest_conditions.rule_number = conditions.rule_number
            and rarest_conditions.condition_number = conditions.condition_number
    inner join satisfied on conditions.pattern_number = satisfied.pattern_number

),

conditions_met as (

    select
        candidates.alignment_key,
        candidates.rule_number,
        count(distinct conditions.condition_number) as condition_count
    from candidates
    inner join conditions on candidates.rule_number = conditions.rule_number
    inner join satisfied
        on candidates.alignment_key = satisfied.alignment_key and conditions.pattern_number = satisfied.pattern_number
    group by candidates.alignment_key, candidates.rule_number

),

matches as (

    select
        conditions_met.alignment_key,
        rules.*,
        min(case when rules.competency is null then rules.rule_number end)
            over (partition by conditions_met.alignment_key)
            as last_rule
    from conditions_met
    inner join {{ ref('alignment_rules') }} as rules
        on
            conditions_met.rule_number = rules.rule_number
            and conditions_met.condition_count = rules.condition_count

),

first_matches as (

    select *
    from (
        select
            *,
            row_number() over (partition by alignment_key, competency order by rule_number) as place
        from matches
        where rule_number <= coalesce(last_rule, rule_number)
    ) as placed
    where place = 1

),

activity_types as (

    -- What the type of an activity says of its answers; of several types that fit, the first that says it.
    select
        new_signatures.alignment_key,
        min_by(types.guess, types.type_number) filter (where types.guess is not null) as guess,
        min_by(types.slip, types.type_number) filter (where types.slip is not null) as slip,
        bool_or(types.only_latest) as only_latest
    from new_signatures
    inner join {{ ref('alignment_activity_types') }} as types
        on
            (types.activity_type is null or new_signatures.activity_type like types.activity_type escape '!')
            and (types.interaction_type is null or new_signatures.interaction_type = types.interaction_type)
            and (types.verb is null or new_signatures.verb_id like types.verb escape '!')
    group by new_signatures.alignment_key

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
    coalesce(first_matches.guess, activity_types.guess) as guess,
    coalesce(first_matches.slip, activity_types.slip) as slip,
    coalesce(activity_types.only_latest, false) as only_latest,
    first_matches.evidence_kind,
    first_matches.outcome_kind,
    first_matches.outcome_value
from new_signatures
left join first_matches on new_signatures.alignment_key = first_matches.alignment_key
left join activity_types on new_signatures.alignment_key = activity_types.alignment_key
