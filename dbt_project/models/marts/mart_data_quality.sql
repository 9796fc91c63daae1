-- For each source and day: what came, what was refused, what no rule takes, and how late it came.
with received as (

    select
        coalesce(source, '') as source,
        day,
        sum(statements) as statements,
        sum(lag_hours_total) / sum(statements) as mean_lag_hours,
        max(lag_hours_most) as longest_lag_hours,
        max(last_received_at) as last_received_at
    from {{ ref('int_received') }}
    group by coalesce(source, ''), day

),

unaligned as (

    select
        coalesce(source, '') as source,
        day,
        sum(statements) as without_evidence,
        sum(case when reason = 'no rule' then statements else 0 end) as unaligned
    from {{ ref('int_unaligned') }}
    group by coalesce(source, ''), day

),

rejected as (

    select
        coalesce(source, '') as source,
        cast(rejected_at as date) as day,
        count(*) as rejected,
        sum(case when replayed then 1 else 0 end) as replayed
    from {{ source('lake', 'rejected') }}
    group by coalesce(source, ''), cast(rejected_at as date)

),

findings as (

    select
        coalesce(source, '') as source,
        day,
        {{ join_text(ordered_list('finding', ['finding']), ' ') }} as findings
    from {{ source('lake', 'findings') }}
    group by coalesce(source, ''), day

),

days as (

    select
        source,
        day
    from received
    union
    select
        source,
        day
    from rejected
    union
    select
        source,
        day
    from findings

)

select
    days.source,
    days.day,
    cast(coalesce(received.statements, 0) as bigint) as statements,
    cast(coalesce(rejected.rejected, 0) as bigint) as rejected,
    cast(coalesce(rejected.replayed, 0) as bigint) as replayed,
    coalesce(rejected.rejected, 0)
    / cast(nullif(coalesce(received.statements, 0) + coalesce(rejected.rejected, 0), 0) as double) as rejected_share,
    cast(coalesce(unaligned.without_evidence, 0) as bigint) as without_evidence,
    cast(coalesce(unaligned.unaligned, 0) as bigint) as unaligned,
    coalesce(unaligned.unaligned, 0) / cast(nullif(received.statements, 0) as double) as unaligned_share,
    received.mean_lag_hours,
    received.longest_lag_hours,
    received.last_received_at,
    findings.findings
from days
left join received on days.source = received.source and days.day = received.day
left join unaligned on days.source = unaligned.source and days.day = unaligned.day
left join rejected on days.source = rejected.source and days.day = rejected.day
left join findings on days.source = findings.source and days.day = findings.day
