{{ config(
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ forget_unfinished(this) }}{% endif %}"
) }}

-- What each source brought on each day, counted for each load.
select
    source,
    cast(received_at as date) as day,
    load_id,
    count(*) as statements,
    sum({{ days_between('occurred_at', 'received_at') }} * 24) as lag_hours_total,
    max({{ days_between('occurred_at', 'received_at') }} * 24) as lag_hours_most,
    max(received_at) as last_received_at
from {{ ref('stg_statements') }}
where load_id > {{ finished_load() }}
group by source, cast(received_at as date), load_id
