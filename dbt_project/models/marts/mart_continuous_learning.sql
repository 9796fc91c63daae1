-- How recently and how broadly each person keeps up: with research, open source, the industry; a row each, also for none.
with people as (

    select person_key from {{ ref('int_people') }}

),

evidence as (

    select
        evidence.person_key,
        topics.topic_id,
        evidence.statement_id,
        evidence.activity_id,
        evidence.competency,
        evidence.occurred_at
    from {{ ref('int_evidence_in_force') }} as evidence
    inner join {{ ref('alignment_rules') }} as rules on evidence.rule_name = rules.rule_name
    inner join {{ ref('framework_continuous_learning') }} as topics
        on concat(' ', rules.topics, ' ') like concat('% ', topics.topic_id, ' %')
    where rules.topics is not null

),

summaries as (

    select
        person_key,
        topic_id,
        count(distinct statement_id) as statements,
        count(distinct activity_id) as activities,
        count(distinct competency) as competencies,
        count(distinct date_trunc('month', occurred_at)) as active_months,
        max(occurred_at) as last_at
    from evidence
    group by person_key, topic_id

)

select
    {{ hexadecimal('people.person_key') }} as person,
    topics.topic_id as topic,
    topics.topic_name,
    coalesce(summaries.statements, 0) as statements,
    coalesce(summaries.activities, 0) as activities,
    coalesce(summaries.competencies, 0) as competencies,
    coalesce(summaries.active_months, 0) as active_months,
    summaries.last_at,
    cast({{ days_between('summaries.last_at', as_of()) }} as double) as days_since
from people
cross join {{ ref('framework_continuous_learning') }} as topics
left join summaries on people.person_key = summaries.person_key and topics.topic_id = summaries.topic_id
