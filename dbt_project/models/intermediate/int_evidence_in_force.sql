{{ config(materialized='view') }}

-- The evidence that counts: without what a re-grade replaced, and with what repetition within a day leaves of each weight.
with evidence as (

    select * from {{ ref('int_evidence') }} where {{ is_asked_for('person_key') }}

)

{{ in_force('evidence') }}
