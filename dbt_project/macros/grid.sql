{# The grid of abilities, as columns: one expression or column name for each point, `_00` to the last. #}

{% macro points() %}{{ return(range(var('grid_points'))) }}{% endmacro %}

{# Columns "prefix_00, prefix_01, …" as a list of names. #}
{% macro grid_columns(prefix) -%}
    {%- set names = [] -%}
    {%- for k in points() -%}{%- do names.append(prefix ~ '_' ~ '%02d' % k) -%}{%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{# The ability at point k, as a number. #}
{% macro ability(k) %}{{ return('(' ~ (var('grid_low') + var('grid_step') * k) ~ ')') }}{% endmacro %}

{# A text for each point, {k} standing for its two digits, {n} for its number. #}
{% macro each_point(text) -%}
    {%- set texts = [] -%}
    {%- for k in points() -%}{%- do texts.append(text | replace('{k}', '%02d' % k) | replace('{n}', k | string)) -%}{%- endfor -%}
    {{ return(texts) }}
{%- endmacro %}

{# The share of the cell of point k that lies above an ability: mass is even in a cell. #}
{% macro share_above(k, limit) -%}
    least(greatest(({{ ability(k) }} - ({{ limit }})) / {{ var('grid_step') }} + 0.5, 0), 1)
{%- endmacro %}
