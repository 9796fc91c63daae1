{# The verbs of statements that tell levels: whatever a rule says, what was made from evidence is none (schemas/xapi-profile.jsonld). -#}
{% macro verbs_of_levels() -%}
    ('https://w3id.org/proficio/verbs/levelled')
{%- endmacro %}

{# The verb by which a person says that a statement about them is wrong. -#}
{% macro verb_of_disputes() -%}
    'https://w3id.org/proficio/verbs/disputed'
{%- endmacro %}
