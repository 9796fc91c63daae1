-- Who goes on working at a competency without moving: enough evidence since the level changed last, none of it long ago.
with days as (

    select
        person_key,
        competency,
        day,
        level,
        evidence_count,
        lag(level) over (partition by person_key, competency order by day) as level_before
    from {{ ref('int_level_days') }}

),

spells as (

    select
        person_key,
        competency,
        max(case when level_before is null or level <> level_before then day end) as since,
        max(case when level_before is null or level <> level_before then evidence_count end) as count_then,
        max(evidence_count) as count_now
    from days
    group by person_key, competency

)

select
    levels.person,
    levels.competency,
    levels.competency_name,
    levels.level,
    levels.level_name,
    spells.since,
    cast(spells.count_now - spells.count_then as bigint) as pieces_since,
    levels.last_evidence_at
from {{ ref('mart_levels') }} as levels
inner join spells on levels.person = {{ hexadecimal('spells.person_key') }} and levels.competency = spells.competency
where
    levels.level < 4
    and not levels.insufficient_evidence
    and spells.count_now - spells.count_then >= 10
    and {{ days_between('cast(spells.since as timestamp)', as_of()) }} >= 30
    and {{ days_between('levels.last_evidence_at', as_of()) }} <= 30
