{{ config(materialized='view') }}

-- Work that a later commit took back, by the activity that stands for it. A revert that was itself reverted takes nothing back.
with taken_back as (

    select
        activity_id,
        reverts_activity_id
    from {{ ref('stg_statements') }}
    where
        reverts_activity_id is not null
        and statement_id not in (select statement_id from {{ ref('int_voided_statements') }})

)

select distinct reverts_activity_id as activity_id
from taken_back
where activity_id not in (select undone.reverts_activity_id from taken_back as undone)
