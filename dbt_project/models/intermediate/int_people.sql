{{ config(unique_key='person_key', incremental_strategy='delete+insert') }}

with seen as (

    select
        person_key,
        person,
        person_name,
        occurred_at as first_seen_at,
        occurred_at as last_seen_at
    from {{ ref('stg_statements') }}
    where load_id > {{ finished_load() }}

    {% if is_incremental() %}
        union all
        select
            known.person_key,
            known.person,
            known.person_name,
            known.first_seen_at,
            known.last_seen_at
        from {{ this }} as known
        where known.person_key in (
            select person_key from {{ ref('stg_statements') }} where load_id > {{ finished_load() }}
        )
    {% endif %}

)

select
    person_key,
    min(person) as person,
    max_by(person_name, last_seen_at) filter (where person_name is not null) as person_name,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from seen
group by person_key
