-- Names and addresses stand here and in dim_account alone: leave both out (publish.leave_out), and the others are pseudonymous.
select
    person,
    person_name,
    mail_address,
    accounts,
    account_count,
    first_seen_at,
    last_seen_at
from {{ ref('int_people') }}
