{{ config(materialized='table') }}

-- Statements whose evidence may differ from what was estimated last, one row for each person they are about: new ones,
-- older ones voided since, older ones of an account that now belongs to another person. The person that such an account
-- left has a row too, which is no evidence (counts is false): their levels change as well.
with relinked as (

    select * from {{ source('lake', 'relinked') }} where load_id > {{ finished_load() }}

),

new_statements as (

    select
        *,
        true as touches_everyone
    from {{ ref('stg_statements') }}
    where load_id > {{ finished_load() }}

),

named as (

    {{ exploded(ref('stg_statements') ~ ' as groups', ['groups.statement_id'], 'groups.member_ids', 'account') }}

),

members as (

    select
        statement_id,
        {{ digest('account') }} as account_key
    from named

),

reverting as (

    -- Commits that take others back, new or voided just now; and what is taken back by those that they take back.
    select reverts_activity_id
    from {{ ref('stg_statements') }}
    where
        reverts_activity_id is not null
        and (
            load_id > {{ finished_load() }}
            or statement_id in (select target_statement_id from new_statements where voids)
        )

),

reverted as (

    select reverts_activity_id as activity_id from reverting
    union
    select undone.reverts_activity_id as activity_id
    from {{ ref('stg_statements') }} as undone
    inner join reverting on undone.activity_id = reverting.reverts_activity_id
    where undone.reverts_activity_id is not null

),

touched_later as (

    select
        target_statement_id as statement_id,
        true as touches_everyone
    from new_statements
    where voids
    union all
    select
        older.statement_id,
        true as touches_everyone
    from {{ ref('stg_statements') }} as older
    inner join reverted on older.activity_id = reverted.activity_id
    union all
    select
        older.statement_id,
        false as touches_everyone
    from {{ ref('stg_statements') }} as older
    inner join relinked on older.account_key = relinked.account_key
    union all
    select
        members.statement_id,
        false as touches_everyone
    from members
    inner join relinked on members.account_key = relinked.account_key

),

touched_once as (

    select
        statement_id,
        bool_or(touches_everyone) as touches_everyone
    from touched_later
    group by statement_id

),

older_statements as (

    select
        older.*,
        touched_once.touches_everyone
    from {{ ref('stg_statements') }} as older
    inner join touched_once on older.statement_id = touched_once.statement_id
    where older.load_id <= {{ finished_load() }}

),

touched as (

    select * from new_statements
    union all
    select * from older_statements

),

aligned as (

    select *
    from touched
    where alignment_key in (select alignment_key from {{ ref('int_alignments') }} where competency is not null)

),

of_agents as (

    select
        aligned.*,
        accounts.person_key,
        1.0 as share,
        true as counts
    from aligned
    inner join {{ source('lake', 'accounts') }} as accounts on aligned.account_key = accounts.account_key
    where aligned.member_ids is null

),

people_of_groups as (

    -- Two members of a group may be one person.
    select distinct
        members.statement_id,
        accounts.person_key
    from members
    inner join {{ source('lake', 'accounts') }} as accounts on members.account_key = accounts.account_key

),

of_groups as (

    -- Where one member moved, the others are left as they are.
    select
        aligned.*,
        people_of_groups.person_key,
        parameters.group_share as share,
        true as counts
    from aligned
    inner join people_of_groups on aligned.statement_id = people_of_groups.statement_id
    cross join {{ ref('estimator_parameters') }} as parameters
    where
        aligned.member_ids is not null
        and parameters.group_share > 0
        and (aligned.touches_everyone or people_of_groups.person_key in (select person_key from relinked))

),

left_behind as (

    select
        aligned.*,
        relinked.person_key,
        0.0 as share,
        false as counts
    from aligned
    left join members on aligned.statement_id = members.statement_id and aligned.member_ids is not null
    inner join relinked on coalesce(members.account_key, aligned.account_key) = relinked.account_key

)

select * from of_agents
union all
select * from of_groups
union all
select * from left_behind
