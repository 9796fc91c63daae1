-- Each person beside each role, over all that it requires: how much is met, how much is expected to be, what is least sure.
select
    gaps.person,
    gaps.role,
    gaps.role_name,
    min(coalesce(teams.value, 'no team')) as cohort,
    count(*) as required,
    cast(sum(case when gaps.status = 'met' then 1 else 0 end) as bigint) as met,
    cast(sum(case when gaps.insufficient_evidence then 1 else 0 end) as bigint) as unknown,
    avg(cast(case when gaps.status = 'met' then 1 else 0 end as double)) as share_met,
    sum(gaps.p_met) as expected_met,
    sqrt(sum(gaps.p_met * (1 - gaps.p_met))) as expected_met_sd,
    min(gaps.p_met) as least_p_met,
    cast(sum(gaps.levels_short) as bigint) as levels_short
from {{ ref('mart_role_gaps') }} as gaps
left join {{ ref('dim_person_attribute') }} as teams on gaps.person = teams.person and teams.attribute = 'team'
group by gaps.person, gaps.role, gaps.role_name
