{{ config(unique_key='statement_id', incremental_strategy='delete+insert') }}

with used_extensions as (

    select coalesce(array_agg(extension), {{ list_of([]) }}) as extensions from {{ ref('alignment_extensions') }}

),

incoming as (

    select
        cast(statement_id as {{ uuid_type() }}) as statement_id,
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
        cast(target_statement_id as {{ uuid_type() }}) as target_statement_id,
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
    from {{ source('lake', 'statements') }}
    cross join used_extensions

),

sent_again as (

    select statement_id
    from incoming
    group by statement_id
    having count(*) > 1

),

first_in_log as (

    select *
    from incoming
    where statement_id not in (select statement_id from sent_again)

    union all

    (
        select *
        from incoming
        where statement_id in (select statement_id from sent_again)
        qualify row_number() over (
            partition by statement_id
            order by received_at, topic, log_partition, log_offset
        ) = 1
    )

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
