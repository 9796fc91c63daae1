{# A day of leave for clocks and time zones; more is a wrong clock that would hide staleness. #}
{% test not_in_the_far_future(model, column_name) %}
    {{ config(severity='warn') }}
    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} > current_timestamp + interval '1' day
{% endtest %}
