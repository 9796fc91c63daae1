{{ config(materialized='table') }}

-- Statements whose evidence may differ from what was estimated last: new ones, and older ones voided since.
with new_statements as (

    select *
    from {{ ref('stg_statements') }}
    where load_id > {{ finished_load() }}

),

newly_voided as (

    select older.*
    from {{ ref('stg_statements') }} as older
    where
        older.statement_id in (select target_statement_id from new_statements where voids)
        and older.load_id <= {{ finished_load() }}

),

touched as (

    select * from new_statements
    union all
    select * from newly_voided

)

select *
from touched
where alignment_key in (select alignment_key from {{ ref('int_alignments') }} where competency is not null)
