{# The last load whose estimates are complete. What came later is new, also after a run that broke off. As a number, where
   the run was given it, for engines skip what a number rules out and read all of it beside a subquery. #}
{% macro finished_load() -%}
    {%- if var('finished_load') is not none -%}
        {{ var('finished_load') }}
    {%- else -%}
        (select progress.finished_load_id from {{ source('lake', 'progress') }} as progress)
    {%- endif -%}
{%- endmacro %}

{# Removes what a load that broke off had written from rows that a full refresh keeps. #}
{% macro forget_uncompleted(rows) -%}
    delete from {{ rows }} where load_id > (select progress.completed_load_id from {{ source('lake', 'progress') }} as progress)
{%- endmacro %}

{# Removes what a load that broke off had written. #}
{% macro forget_unfinished(rows) %}delete from {{ rows }} where load_id > {{ finished_load() }}{% endmacro %}

{# Removes evidence that is to be read anew: of statements voided or given to another person since. It joins,
   so that it reads nothing where there are none. #}
{% macro forget_touched_evidence(evidence) %}{{ return(adapter.dispatch('forget_touched_evidence', 'proficio')(evidence)) }}{% endmacro %}
{% macro default__forget_touched_evidence(evidence) -%}
    merge into {{ evidence }} as evidence
    using (
        select distinct
            statement_id,
            person_key
        from {{ ref('int_touched_statements') }}
        where load_id <= {{ finished_load() }}
    ) as touched
    on evidence.statement_id = touched.statement_id and evidence.person_key = touched.person_key
    when matched then delete
{%- endmacro %}
{% macro duckdb__forget_touched_evidence(evidence) -%}
    delete from {{ evidence }} as evidence
    using {{ ref('int_touched_statements') }} as touched
    where
        touched.load_id <= {{ finished_load() }}
        and evidence.statement_id = touched.statement_id
        and evidence.person_key = touched.person_key
{%- endmacro %}

{# For each person the load whose states and estimates count. Older rows stand beside them until compact_states. #}
{% macro newest_states() %}
    (select person_key, max(load_id) as load_id from {{ ref('int_competency_states') }} group by person_key)
{% endmacro %}

{# Removes states and estimates that newer ones replaced, once they are the greater part. #}
{% macro compact_states() %}
    {% set states = ref('int_competency_states') %}
    {% set rows = run_query("select count(*) from " ~ states).columns[0][0] %}
    {% set kept = run_query("select count(*) from " ~ states ~ " inner join " ~ newest_states() ~ " as newest using (person_key, load_id)").columns[0][0] %}
    {% if rows > 2 * kept %}
        {% for table in [ref('int_estimates'), states] %}
            {% do run_query(keep_newest(table)) %}
        {% endfor %}
    {% endif %}
{% endmacro %}

{# The instant that staleness is judged by. #}
{% macro as_of() -%}
    {%- if var('as_of') -%} cast('{{ var('as_of') }}' as {{ instant_type() }}) {%- else -%} current_timestamp {%- endif -%}
{%- endmacro %}
