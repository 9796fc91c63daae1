{# People from which a group is told of, so that no mart of groups tells of persons. #}
{% macro least_group() -%}
    {{ env_var('PROFICIO_LEAST_GROUP', '5') }}
{%- endmacro %}
