{{ config(materialized='view') }}

-- xAPI-Data 2.3.2: a voiding statement cannot be voided, which needs no rule here, for it is no evidence.
select distinct target_statement_id as statement_id
from {{ ref('stg_statements') }}
where voids and target_statement_id is not null
