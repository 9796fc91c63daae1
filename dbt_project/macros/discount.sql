{# What is left of the fast or the slow sum of log-likelihood between two instants, as the column `<sum>_discount`, given how
   many pieces of the person's evidence came later, and for the fast sum how many of them on the same competency. #}
{% macro discount(sum, earlier, later, pieces, pieces_on_same=none) -%}
    exp(
        -ln(2) * {{ days_between(earlier, later) }} / parameters.half_life_days
        {%- if pieces_on_same is none %}
        + {{ pieces }} * ln(parameters.{{ sum }}_retention)
        {%- else %}
        + {{ pieces_on_same }} * ln(parameters.{{ sum }}_retention)
        + ({{ pieces }} - {{ pieces_on_same }}) * ln(parameters.other_retention)
        {%- endif %}
    ) as {{ sum }}_discount
{%- endmacro %}
