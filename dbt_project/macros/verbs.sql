{# The verbs of statements that tell levels: whatever a rule says, what was made from evidence is none (schemas/xapi-profile.jsonld). -#}
{% macro verbs_of_levels() -%}
    ('https://w3id.org/proficio/verbs/levelled')
{%- endmacro %}
