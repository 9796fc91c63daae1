{{ config(materialized='view') }}

-- A person is all the accounts that meet in them (transforms/identity.py); groups are no persons.
select
    accounts.person_key,
    {{ hexadecimal('accounts.person_key') }} as person,
    max_by(seen.account_name, seen.last_seen_at) filter (where seen.account_name is not null) as person_name,
    min(accounts.account) filter (where accounts.account like 'mailto:%') as mail_address,
    count(*) as account_count,
    {{ join_text(ordered_list('accounts.account', ['accounts.account']), ' ') }} as accounts,
    min(seen.first_seen_at) as first_seen_at,
    max(seen.last_seen_at) as last_seen_at
from {{ source('lake', 'accounts') }} as accounts
left join {{ ref('int_accounts') }} as seen on accounts.account_key = seen.account_key
group by accounts.person_key
