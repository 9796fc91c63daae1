{# What the tests of a model look at: where a mart is staged to be published, its file, for the view would be computed by each test. #}
{% macro default__get_where_subquery(relation) -%}
    {%- set where = config.get('where') -%}
    {%- set rows = "read_parquet('" ~ var('staged') | replace("'", "''") ~ "/" ~ relation.identifier ~ ".parquet')"
        if relation.identifier in var('staged_marts', []) else relation -%}
    {%- if where -%}
        (select * from {{ rows }} where {{ where }}) dbt_subquery
    {%- else -%}
        {{ rows }}
    {%- endif -%}
{%- endmacro %}
