{# Where a raw score lies between its least and its greatest value, 0 to 1; null where one of them is missing. #}
{% macro share_of_range(statement) -%}
    case
        when {{ statement }}.score_max > coalesce({{ statement }}.score_min, 0)
            then
                ({{ statement }}.score_raw - coalesce({{ statement }}.score_min, 0))
                / ({{ statement }}.score_max - coalesce({{ statement }}.score_min, 0))
    end
{%- endmacro %}
