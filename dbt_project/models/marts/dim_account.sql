-- The accounts that meet in each person; names and addresses stand here as in dim_person.
select
    {{ hexadecimal('accounts.person_key') }} as person,
    accounts.account,
    seen.account_name,
    seen.first_seen_at,
    seen.last_seen_at
from {{ source('lake', 'accounts') }} as accounts
left join {{ ref('int_accounts') }} as seen on accounts.account_key = seen.account_key
