select
    {{ hexadecimal('evidence.person_key') }} as person,
    evidence.competency,
    competencies.competency_name,
    evidence.activity_id,
    evidence.activity_name,
    evidence.level as pitched_level,
    levels.level_name as pitched_level_name,
    evidence.difficulty,
    evidence.outcome,
    evidence.counted_weight as weight,
    evidence.slope,
    evidence.guess,
    evidence.slip,
    evidence.occurred_at,
    cast(evidence.statement_id as string) as statement_id,
    evidence.source,
    evidence.rule_name,
    rules.evidence_kind,
    rules.applications,
    rules.tools,
    rules.topics
from {{ ref('int_evidence_in_force') }} as evidence
inner join {{ ref('framework_competencies') }} as competencies on evidence.competency = competencies.competency
inner join {{ ref('framework_levels') }} as levels on evidence.level = levels.level
inner join {{ ref('alignment_rules') }} as rules on evidence.rule_name = rules.rule_name
