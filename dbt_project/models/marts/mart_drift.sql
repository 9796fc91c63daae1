-- For each source, the last whole day beside the 30 days before: how much came, how it was judged, how scores are distributed.
-- What is compared is null where there is too little to compare.
with days as (

    select
        coalesce(source, '') as source,
        day,
        statements,
        rejected,
        unaligned,
        {{ days_between('cast(day as timestamp)', 'cast(cast(' ~ as_of() ~ ' as date) as timestamp)') }} as days_ago
    from {{ ref('mart_data_quality') }}

),

recent as (

    select
        source,
        coalesce(sum(case when days_ago = 1 then statements end), 0) as statements,
        coalesce(sum(case when days_ago in (8, 15, 22, 29) then statements end), 0) as on_such_days,
        -- Weeks that the source has been there for.
        least(4, floor((max(days_ago) - 1) / 7)) as weeks,
        sum(case when days_ago = 1 then unaligned end) as unaligned,
        sum(case when days_ago between 2 and 31 then unaligned end) as unaligned_before,
        sum(case when days_ago between 2 and 31 then statements end) as statements_before,
        coalesce(sum(case when days_ago = 1 then rejected end), 0) as rejected,
        coalesce(sum(case when days_ago between 2 and 31 then rejected end), 0) as rejected_before
    from days
    where days_ago >= 1
    group by source

),

arrivals as (

    select
        coalesce(source, '') as source,
        received_at,
        score_scaled,
        {{ days_between('cast(cast(received_at as date) as timestamp)', 'cast(cast(' ~ as_of() ~ ' as date) as timestamp)') }} as days_ago,
        {{ days_between('lag(received_at) over (partition by source order by received_at)', 'received_at') }} * 24 as pause_hours
    from {{ ref('stg_statements') }}
    where {{ days_between('received_at', as_of()) }} between 0 and 32

),

silence as (

    select
        source,
        count(*) as arrivals,
        {{ days_between('max(received_at)', as_of()) }} * 24 as silent_hours,
        max(pause_hours) as longest_pause_hours
    from arrivals
    group by source

),

scores as (

    select
        source,
        least(9, greatest(0, floor(score_scaled * 10))) as tenth,
        sum(case when days_ago = 1 then 1 else 0 end) as now_count,
        sum(case when days_ago > 1 then 1 else 0 end) as before_count
    from arrivals
    where score_scaled is not null and days_ago >= 1
    group by source, least(9, greatest(0, floor(score_scaled * 10)))

),

shares as (

    select
        source,
        greatest(now_count / cast(sum(now_count) over (partition by source) as double), 0.001) as now_share,
        greatest(before_count / cast(sum(before_count) over (partition by source) as double), 0.001) as before_share,
        sum(now_count) over (partition by source) as now_total,
        sum(before_count) over (partition by source) as before_total
    from scores

),

stability as (

    -- Population stability index: Siddiqi, Credit Risk Scorecards (2006).
    select
        source,
        sum((now_share - before_share) * ln(now_share / before_share)) as score_stability
    from shares
    where now_total >= 50 and before_total >= 200
    group by source

)

select
    recent.source,
    cast(recent.statements as bigint) as statements,
    case when recent.weeks >= 1 then recent.on_such_days / cast(recent.weeks as double) end as usual_statements,
    case
        when recent.weeks >= 1 and recent.on_such_days >= 10 * recent.weeks
            then recent.statements * recent.weeks / cast(recent.on_such_days as double)
    end as volume_to_usual,
    silence.silent_hours,
    case
        when silence.arrivals >= 30 then silence.silent_hours / greatest(silence.longest_pause_hours, 1)
    end as silent_to_usual,
    case
        when recent.statements >= 30 and recent.statements_before >= 100
            then
                coalesce(recent.unaligned, 0) / cast(recent.statements as double)
                - coalesce(recent.unaligned_before, 0) / cast(recent.statements_before as double)
    end as unaligned_rise,
    case
        when recent.statements + recent.rejected >= 30 and recent.statements_before + recent.rejected_before >= 100
            then
                recent.rejected / cast(recent.statements + recent.rejected as double)
                - recent.rejected_before / cast(recent.statements_before + recent.rejected_before as double)
    end as rejected_rise,
    stability.score_stability
from recent
left join silence on recent.source = silence.source
left join stability on recent.source = stability.source
