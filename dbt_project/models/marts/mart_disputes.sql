-- What people say of their own evidence: that it is wrong, and why. What others say of it does not stand here.
select
    {{ hexadecimal('evidence.person_key') }} as person,
    evidence.competency,
    competencies.competency_name,
    cast(evidence.statement_id as string) as statement_id,
    evidence.activity_id,
    evidence.activity_name,
    evidence.outcome,
    evidence.occurred_at,
    disputes.occurred_at as disputed_at,
    disputes.dispute
from {{ ref('stg_statements') }} as disputes
inner join {{ source('lake', 'accounts') }} as accounts on disputes.account_key = accounts.account_key
inner join {{ ref('int_evidence_in_force') }} as evidence
    on disputes.target_statement_id = evidence.statement_id and accounts.person_key = evidence.person_key
inner join {{ ref('framework_competencies') }} as competencies on evidence.competency = competencies.competency
where disputes.dispute is not null
