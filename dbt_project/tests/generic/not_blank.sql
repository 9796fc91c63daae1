{# Null says that nothing was given; an empty text says nothing at all. #}
{% test not_blank(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    where trim({{ column_name }}) = ''
{% endtest %}
