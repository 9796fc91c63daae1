-- Kinds of statements that brought no evidence, those first that would bring most if a rule took them.
with kinds as (

    select
        alignment_key,
        min(source) as source,
        min(verb_id) as verb_id,
        min(activity_id) as activity_id,
        min(activity_type) as activity_type,
        min(activity_name) as activity_name,
        min(rule_name) as rule_name,
        min(reason) as reason,
        min(carries) as carries,
        sum(statements) as statements,
        min(first_occurred_at) as first_occurred_at,
        max(last_occurred_at) as last_occurred_at
    from {{ ref('int_unaligned') }}
    group by alignment_key

)

select
    source,
    verb_id,
    activity_id,
    activity_type,
    activity_name,
    reason,
    rule_name,
    carries,
    cast(statements as bigint) as statements,
    cast(
        case
            when reason = 'no weight' then 0.0
            when carries in ('score', 'success') then 1.0
            when carries = 'completion' then 0.2
            else 0.0
        end * statements as double
    ) as potential_weight,
    first_occurred_at,
    last_occurred_at
from kinds
