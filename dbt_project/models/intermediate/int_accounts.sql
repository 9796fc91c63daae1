{{ config(unique_key='account_key', incremental_strategy=replacing_rows()) }}

with seen as (

    select
        account_key,
        account,
        account_name,
        occurred_at as first_seen_at,
        occurred_at as last_seen_at
    from {{ ref('stg_statements') }}
    where load_id > {{ finished_load() }} and member_ids is null

    {% if is_incremental() %}
        union all
        select
            known.account_key,
            known.account,
            known.account_name,
            known.first_seen_at,
            known.last_seen_at
        from {{ this }} as known
        where known.account_key in (
            select account_key from {{ ref('stg_statements') }} where load_id > {{ finished_load() }}
        )
    {% endif %}

)

select
    account_key,
    min(account) as account,
    max_by(account_name, last_seen_at) filter (where account_name is not null) as account_name,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from seen
group by account_key
