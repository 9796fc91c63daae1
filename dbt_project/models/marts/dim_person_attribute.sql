-- What the operator's table says of people, such as their team: what they can be grouped by.
select
    {{ hexadecimal('person_key') }} as person,
    attribute,
    value
from {{ source('lake', 'attributes') }}
