-- What each person has done with which tool and in which practical application.
with evidence as (

    select
        evidence.person_key,
        evidence.statement_id,
        evidence.counted_weight,
        evidence.outcome,
        evidence.occurred_at,
        evidence.activity_id,
        rules.evidence_kind,
        rules.applications,
        rules.tools
    from {{ ref('int_evidence_in_force') }} as evidence
    inner join {{ ref('alignment_rules') }} as rules on evidence.rule_name = rules.rule_name
    where rules.applications is not null or rules.tools is not null

),

items as (

    select
        'application' as item_kind,
        application as item,
        application_name as item_name
    from {{ ref('framework_applications') }}

    union all

    select
        'tool' as item_kind,
        tool as item,
        tool_name as item_name
    from {{ ref('framework_tools') }}

)

select
    {{ hexadecimal('evidence.person_key') }} as person,
    items.item_kind,
    items.item,
    items.item_name,
    count(distinct evidence.statement_id) as statements,
    count(distinct evidence.activity_id) as activities,
    sum(evidence.counted_weight) as evidence_weight,
    sum(evidence.counted_weight * evidence.outcome) / nullif(sum(evidence.counted_weight), 0) as mean_outcome,
    bool_or(evidence.evidence_kind in ('reviewed', 'judged')) as judged_by_others,
    min(evidence.occurred_at) as first_at,
    max(evidence.occurred_at) as last_at
from evidence
inner join items
    on
        concat(' ', case items.item_kind when 'tool' then evidence.tools else evidence.applications end, ' ')
        like concat('% ', items.item, ' %')
group by evidence.person_key, items.item_kind, items.item, items.item_name
