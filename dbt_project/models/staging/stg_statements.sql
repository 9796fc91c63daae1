{{ config(unique_key='statement_id', incremental_strategy=replacing_rows(), partition_by=buckets_of('statement_id')) }}

with used_extensions as (

    select {{ ordered_list('extension', ['extension']) }} as extensions from {{ ref('alignment_extensions') }}

),

incoming as (

    select
        {{ uuid('statement_id') }} as statement_id,
        topic,
        log_partition,
        log_offset,
        received_at,
        load_id,
        source,
        occurred_at,
        actor_id as account,
        {{ digest('actor_id') }} as account_key,
        actor_name as account_name,
        member_ids,
        verb_id,
        activity_id,
        activity_type,
        activity_name,
        interaction_type,
        platform,
        score_scaled,
        score_raw,
        score_min,
        score_max,
        success,
        completion,
        voids,
        {{ uuid('target_statement_id') }} as target_statement_id,
        {{ extension_text('context_extensions', 'https://w3id.org/proficio/extensions/reverts') }} as reverts_activity_id,
        case when verb_id = {{ verb_of_disputes() }} then response end as dispute,
        {{ joined_lists([
            prefixed('parent:', 'parent_ids'),
            prefixed('grouping:', 'grouping_ids'),
            prefixed('category:', 'category_ids'),
            extension_traits('activity_extensions', 'used_extensions.extensions'),
            extension_traits('context_extensions', 'used_extensions.extensions'),
            extension_traits('result_extensions', 'used_extensions.extensions'),
            list_of([
                "'interaction:' || interaction_type",
                "case when score_scaled is not null or score_raw is not null then 'has:score' end",
                "case when success is not null then 'has:success' end",
                "case when completion is not null then 'has:completion' end",
            ])
        ]) }} as traits,
        {{ text_hash('statement') }} as statement_hash
    from {{ landed() }}
    cross join used_extensions

),

sent_again as (

    select
        statement_id,
        min({{ fields(at='received_at', topic='topic', log_partition='log_partition', log_offset='log_offset') }}) as first_sent
    from incoming
    group by statement_id
    having count(*) > 1

),

first_in_log as (

    select incoming.*
    from incoming
    left join sent_again on incoming.statement_id = sent_again.statement_id
    where
        sent_again.statement_id is null
        or {{ fields(at='incoming.received_at', topic='incoming.topic', log_partition='incoming.log_partition', log_offset='incoming.log_offset') }}
        = sent_again.first_sent

),

new_statements as (

    select first_in_log.*
    from first_in_log
    {% if is_incremental() %}
        left join {{ this }} as known on first_in_log.statement_id = known.statement_id
        where known.statement_id is null or first_in_log.received_at < known.received_at
    {% endif %}

)

select
    *,
    {{ text_hash("concat_ws('|', coalesce(verb_id, ''), coalesce(activity_id, ''), coalesce(activity_type, ''), coalesce(activity_name, ''), coalesce(platform, ''), coalesce(source, ''), " ~ join_text('traits', '|') ~ ")") }}
        as alignment_key
from new_statements
