{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ forget_unfinished(this) }}{% endif %}"
) }}

-- Statements that came with the id of an earlier one and another text. Estimating compares the two as xAPI-Data 2.3.1
-- says, and sends those that do conflict to the dead letters.
select
    incoming.statement_id,
    incoming.topic,
    incoming.log_partition,
    incoming.log_offset,
    incoming.load_id,
    first_in_log.topic as first_topic,
    first_in_log.log_partition as first_partition,
    first_in_log.log_offset as first_offset
from {{ landed() }} as incoming
inner join {{ ref('stg_statements') }} as first_in_log
    on {{ uuid('incoming.statement_id') }} = first_in_log.statement_id
where {{ text_hash('incoming.statement') }} <> first_in_log.statement_hash
