-- Every day from the first evidence to the last, or to the day of the last run.
with bounds as (

    select
        min(cast(occurred_at as date)) as first_day,
        greatest(max(cast(occurred_at as date)), cast({{ as_of() }} as date)) as last_day
    from {{ ref('int_evidence') }}

),

days as (

    {{ days_from_to('bounds', 'first_day', 'last_day') }}

)

select
    day,
    cast(extract(year from day) as integer) as year,
    cast(extract(quarter from day) as integer) as quarter,
    cast(extract(month from day) as integer) as month,
    cast(date_trunc('month', day) as date) as month_start,
    cast(last_day(day) as date) as month_end,
    cast(date_trunc('week', day) as date) as week_start,
    cast({{ iso_weekday('day') }} as integer) as weekday,
    {{ iso_weekday('day') }} >= 6 as is_weekend
from days
