-- depends_on: {{ ref('int_evidence') }}
{{ config(
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ forget_unfinished(this) }}{% endif %}"
) }}

-- Statements about activities that became no evidence, counted by kind for each load; and why.
with without_evidence as (

    select
        statements.alignment_key,
        statements.load_id,
        statements.occurred_at,
        statements.received_at,
        statements.source,
        statements.traits
    from {{ ref('stg_statements') }} as statements
    left join {{ ref('int_evidence') }} as evidence
        on statements.statement_id = evidence.statement_id and evidence.load_id > {{ finished_load() }}
    where
        statements.load_id > {{ finished_load() }}
        and evidence.statement_id is null
        and statements.activity_id is not null
        and coalesce(statements.verb_id, '') not in {{ verbs_of_levels() }}
        and statements.statement_id not in (select statement_id from {{ ref('int_voided_statements') }})

),

rules_that_took as (

    select
        alignment_key,
        min(verb_id) as verb_id,
        min(activity_id) as activity_id,
        min(activity_type) as activity_type,
        min(activity_name) as activity_name,
        max(rule_name) as rule_name,
        max(weight) as weight
    from {{ ref('int_alignments') }}
    group by alignment_key

)

select
    without_evidence.alignment_key,
    without_evidence.load_id,
    cast(without_evidence.received_at as date) as day,
    min(without_evidence.source) as source,
    min(rules_that_took.verb_id) as verb_id,
    min(rules_that_took.activity_id) as activity_id,
    min(rules_that_took.activity_type) as activity_type,
    min(rules_that_took.activity_name) as activity_name,
    min(rules_that_took.rule_name) as rule_name,
    min(case
        when rules_that_took.rule_name is null then 'no rule'
        when rules_that_took.weight = 0 then 'no weight'
        else 'no outcome'
    end) as reason,
    max(case
        when {{ contains('without_evidence.traits', 'has:score') }} then 'score'
        when {{ contains('without_evidence.traits', 'has:success') }} then 'success'
        when {{ contains('without_evidence.traits', 'has:completion') }} then 'completion'
    end) as carries,
    count(*) as statements,
    min(without_evidence.occurred_at) as first_occurred_at,
    max(without_evidence.occurred_at) as last_occurred_at
from without_evidence
inner join rules_that_took on without_evidence.alignment_key = rules_that_took.alignment_key
group by without_evidence.alignment_key, without_evidence.load_id, cast(without_evidence.received_at as date)
