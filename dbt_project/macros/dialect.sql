{# Everything in which DuckDB and other engines differ stands here. #}

{# What `proficio estimate` takes up in this run. Spark reads it by a view of the session; views that last hold on to no such. #}
{% macro landed() %}{{ return(adapter.dispatch('landed', 'proficio')()) }}{% endmacro %}
{% macro default__landed() %}global_temp.landed{% endmacro %}
{% macro duckdb__landed() %}{{ source('lake', 'statements') }}{% endmacro %}

{# A text that is a UUID, such that two compare as their lower-case texts do. #}
{% macro uuid(text) %}{{ return(adapter.dispatch('uuid', 'proficio')(text)) }}{% endmacro %}
{% macro default__uuid(text) %}lower({{ text }}){% endmacro %}
{% macro duckdb__uuid(text) %}cast({{ text }} as uuid){% endmacro %}

{# The type of an instant. #}
{% macro instant_type() %}{{ return(adapter.dispatch('instant_type', 'proficio')()) }}{% endmacro %}
{% macro default__instant_type() %}timestamp{% endmacro %}
{% macro duckdb__instant_type() %}timestamp with time zone{% endmacro %}

{# One value of several named fields, which compare in turn. #}
{% macro fields() %}{{ return(adapter.dispatch('fields', 'proficio')(kwargs)) }}{% endmacro %}
{% macro default__fields(named) -%}
    named_struct({% for name, value in named.items() %}'{{ name }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
{% macro duckdb__fields(named) -%}
    struct_pack({% for name, value in named.items() %}{{ name }} := {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{# The values of a group as a list, ordered by other expressions; those of the rows only that meet a condition. #}
{% macro ordered_list(value, order_by, condition='true') %}{{ return(adapter.dispatch('ordered_list', 'proficio')(value, order_by, condition)) }}{% endmacro %}
{% macro default__ordered_list(value, order_by, condition) -%}
    transform(
        array_sort(collect_list(struct({{ order_by | join(', ') }}, {{ value }} as listed)) filter (where {{ condition }})),
        one -> one.listed
    )
{%- endmacro %}
{% macro duckdb__ordered_list(value, order_by, condition) -%}
    coalesce(array_agg({{ value }} order by {{ order_by | join(', ') }}) filter (where {{ condition }}), [])
{%- endmacro %}

{# The whole numbers between two, both included, as a list. #}
{% macro numbers_from_to(least, greatest) %}{{ return(adapter.dispatch('numbers_from_to', 'proficio')(least, greatest)) }}{% endmacro %}
{% macro default__numbers_from_to(least, greatest) -%}
    case when {{ greatest }} >= {{ least }} then sequence({{ least }}, {{ greatest }}) else array() end
{%- endmacro %}
{% macro duckdb__numbers_from_to(least, greatest) %}generate_series({{ least }}, {{ greatest }}){% endmacro %}

{# The last value that is known in a window; `over` follows. #}
{% macro last_known(value) %}{{ return(adapter.dispatch('last_known', 'proficio')(value)) }}{% endmacro %}
{% macro default__last_known(value) %}last_value({{ value }}) ignore nulls{% endmacro %}
{% macro duckdb__last_known(value) %}last_value({{ value }} ignore nulls){% endmacro %}

{# Monday is 1, Sunday 7. #}
{% macro iso_weekday(day) %}{{ return(adapter.dispatch('iso_weekday', 'proficio')(day)) }}{% endmacro %}
{% macro default__iso_weekday(day) %}(weekday({{ day }}) + 1){% endmacro %}
{% macro duckdb__iso_weekday(day) %}extract(isodow from {{ day }}){% endmacro %}

{% macro days_between(earlier, later) %}{{ return(adapter.dispatch('days_between', 'proficio')(earlier, later)) }}{% endmacro %}
{% macro default__days_between(earlier, later) -%}
    ((unix_micros({{ later }}) - unix_micros({{ earlier }})) / 86400000000.0)
{%- endmacro %}
{% macro duckdb__days_between(earlier, later) -%}
    ((epoch_us({{ later }}) - epoch_us({{ earlier }})) / 86400000000.0)
{%- endmacro %}

{% macro json_text(column, path) %}{{ return(adapter.dispatch('json_text', 'proficio')(column, path)) }}{% endmacro %}
{% macro default__json_text(column, path) %}get_json_object({{ column }}, '{{ path }}'){% endmacro %}
{% macro duckdb__json_text(column, path) %}json_extract_string({{ column }}, '{{ path }}'){% endmacro %}

{% macro text_hash(text) %}{{ return(adapter.dispatch('text_hash', 'proficio')(text)) }}{% endmacro %}
{% macro default__text_hash(text) %}xxhash64({{ text }}){% endmacro %}
{% macro duckdb__text_hash(text) %}hash({{ text }}){% endmacro %}

{% macro join_text(list, separator) %}{{ return(adapter.dispatch('join_text', 'proficio')(list, separator)) }}{% endmacro %}
{% macro default__join_text(list, separator) %}array_join({{ list }}, '{{ separator }}'){% endmacro %}
{% macro duckdb__join_text(list, separator) %}array_to_string({{ list }}, '{{ separator }}'){% endmacro %}

{% macro element(list, position) %}{{ return(adapter.dispatch('element', 'proficio')(list, position)) }}{% endmacro %}
{% macro default__element(list, position) %}element_at({{ list }}, {{ position }}){% endmacro %}
{% macro duckdb__element(list, position) %}{{ list }}[{{ position }}]{% endmacro %}

{% macro list_of(items) %}{{ return(adapter.dispatch('list_of', 'proficio')(items)) }}{% endmacro %}
{% macro default__list_of(items) %}array({{ items | join(', ') }}){% endmacro %}
{% macro duckdb__list_of(items) %}[{{ items | join(', ') }}]{% endmacro %}

{# Σ left[k] · right[k] of two lists of numbers. #}
{% macro dot(left, right) %}{{ return(adapter.dispatch('dot', 'proficio')(left, right)) }}{% endmacro %}
{% macro default__dot(left, right) -%}
    aggregate(zip_with({{ left }}, {{ right }}, (l, r) -> l * r), cast(0 as double), (total, term) -> total + term)
{%- endmacro %}
{% macro duckdb__dot(left, right) %}list_dot_product({{ left }}, {{ right }}){% endmacro %}

{# 128 bits that stand for a text, in the narrowest type there is: what sorts and joins run on. #}
{% macro digest(text) %}{{ return(adapter.dispatch('digest', 'proficio')(text)) }}{% endmacro %}
{% macro default__digest(text) %}md5({{ text }}){% endmacro %}
{% macro duckdb__digest(text) %}cast(md5({{ text }}) as uuid){% endmacro %}

{# A digest as 32 hexadecimal digits. #}
{% macro hexadecimal(digest) %}{{ return(adapter.dispatch('hexadecimal', 'proficio')(digest)) }}{% endmacro %}
{% macro default__hexadecimal(digest) %}{{ digest }}{% endmacro %}
{% macro duckdb__hexadecimal(digest) %}replace(cast({{ digest }} as varchar), '-', ''){% endmacro %}

{# Each item of a list of texts with a prefix before it; null for no list. #}
{% macro prefixed(prefix, list) %}{{ return(adapter.dispatch('prefixed', 'proficio')(prefix, list)) }}{% endmacro %}
{% macro default__prefixed(prefix, list) %}transform({{ list }}, one -> concat('{{ prefix }}', one)){% endmacro %}
{% macro duckdb__prefixed(prefix, list) %}list_transform({{ list }}, lambda one: '{{ prefix }}' || one){% endmacro %}

{# The values of those keys of a JSON object that a list names, as "extension:key=value"; a value that is a list, each. #}
{% macro extension_traits(json, keys) %}{{ return(adapter.dispatch('extension_traits', 'proficio')(json, keys)) }}{% endmacro %}
{% macro default__extension_traits(json, keys) -%}
    flatten(transform(
        array_intersect(json_object_keys({{ json }}), {{ keys }}),
        key -> transform(
            coalesce(
                from_json(get_json_object({{ json }}, concat('$[\'', key, '\']')), 'array<string>'),
                array(get_json_object({{ json }}, concat('$[\'', key, '\']')))
            ),
            one -> concat('extension:', key, '=', one)
        )
    ))
{%- endmacro %}
{% macro duckdb__extension_traits(json, keys) -%}
    flatten(list_transform(
        list_intersect(json_keys({{ json }}), {{ keys }}),
        lambda key: list_transform(
            case
                when json_type({{ json }}, '$."' || key || '"') = 'ARRAY'
                    then from_json(json_extract({{ json }}, '$."' || key || '"'), '["VARCHAR"]')
                else [json_extract_string({{ json }}, '$."' || key || '"')]
            end,
            lambda one: 'extension:' || key || '=' || one
        )
    ))
{%- endmacro %}

{# Several lists of texts as one, sorted, without nulls; a null list adds nothing. #}
{% macro joined_lists(lists) %}{{ return(adapter.dispatch('joined_lists', 'proficio')(lists)) }}{% endmacro %}
{% macro default__joined_lists(lists) -%}
    array_sort(array_compact(concat({% for list in lists %}coalesce({{ list }}, array()){{ ', ' if not loop.last }}{% endfor %})))
{%- endmacro %}
{% macro duckdb__joined_lists(lists) -%}
    list_sort(list_filter(list_concat({{ lists | join(', ') }}), lambda one: one is not null))
{%- endmacro %}

{# The items of a list as rows, with the other columns of `columns`: a query. #}
{% macro exploded(relation, columns, list, item) %}{{ return(adapter.dispatch('exploded', 'proficio')(relation, columns, list, item)) }}{% endmacro %}
{% macro default__exploded(relation, columns, list, item) -%}
    select {{ columns | join(', ') }}, explode({{ list }}) as {{ item }} from {{ relation }}
{%- endmacro %}
{% macro duckdb__exploded(relation, columns, list, item) -%}
    select {{ columns | join(', ') }}, unnest({{ list }}) as {{ item }} from {{ relation }}
{%- endmacro %}

{# Whether a list holds a text. #}
{% macro contains(list, text) %}{{ return(adapter.dispatch('contains', 'proficio')(list, text)) }}{% endmacro %}
{% macro default__contains(list, text) %}array_contains({{ list }}, '{{ text }}'){% endmacro %}
{% macro duckdb__contains(list, text) %}list_contains({{ list }}, '{{ text }}'){% endmacro %}

{# Sum of a list of numbers. #}
{% macro total(list) %}{{ return(adapter.dispatch('total', 'proficio')(list)) }}{% endmacro %}
{% macro default__total(list) %}aggregate({{ list }}, cast(0 as double), (total, one) -> total + one){% endmacro %}
{% macro duckdb__total(list) %}list_sum({{ list }}){% endmacro %}

{# Number of the day (UTC) of an instant, counted from 1970-01-01. #}
{% macro utc_day(instant) %}{{ return(adapter.dispatch('utc_day', 'proficio')(instant)) }}{% endmacro %}
{% macro default__utc_day(instant) %}cast(floor(unix_micros({{ instant }}) / 86400000000.0) as bigint){% endmacro %}
{% macro duckdb__utc_day(instant) %}cast(floor(epoch_us({{ instant }}) / 86400000000.0) as bigint){% endmacro %}

{# The value of one key of a JSON object, as text. #}
{% macro extension_text(json, key) %}{{ return(adapter.dispatch('extension_text', 'proficio')(json, key)) }}{% endmacro %}
{% macro default__extension_text(json, key) %}get_json_object({{ json }}, '$[\'{{ key }}\']'){% endmacro %}
{% macro duckdb__extension_text(json, key) %}json_extract_string({{ json }}, '$."{{ key }}"'){% endmacro %}

{# A row for each day between two dates of a one-row relation: a query with the column `day`. #}
{% macro days_from_to(bounds, first, last) %}{{ return(adapter.dispatch('days_from_to', 'proficio')(bounds, first, last)) }}{% endmacro %}
{% macro default__days_from_to(bounds, first, last) -%}
    select explode(sequence({{ first }}, {{ last }}, interval 1 day)) as day from {{ bounds }}
{%- endmacro %}
{% macro duckdb__days_from_to(bounds, first, last) -%}
    select cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 day)) as date) as day from {{ bounds }}
{%- endmacro %}

{# Whether a person is among those whom the session asks for (connectors/publication.py); where it asks for nobody, everybody is. #}
{% macro is_asked_for(person_key) %}{{ return(adapter.dispatch('is_asked_for', 'proficio')(person_key)) }}{% endmacro %}
{% macro default__is_asked_for(person_key) %}true{% endmacro %}
{% macro duckdb__is_asked_for(person_key) -%}
    (getvariable('first_person') is null or {{ person_key }} between getvariable('first_person') and getvariable('last_person'))
{%- endmacro %}

{# The strategy by which the rows of a load replace those with the same key, or come to them. #}
{% macro replacing_rows() %}{{ return(adapter.dispatch('replacing_rows', 'proficio')()) }}{% endmacro %}
{% macro default__replacing_rows() %}{{ return('merge') }}{% endmacro %}
{% macro duckdb__replacing_rows() %}{{ return('delete+insert') }}{% endmacro %}

{# How the rows of a table lie apart, so that a load rewrites the buckets of those alone whom it is about. #}
{% macro buckets_of(key) %}{{ return(adapter.dispatch('buckets_of', 'proficio')(key)) }}{% endmacro %}
{% macro default__buckets_of(key) %}{{ return('bucket(' ~ var('buckets') ~ ', ' ~ key ~ ')') }}{% endmacro %}
{% macro duckdb__buckets_of(key) %}{{ return(none) }}{% endmacro %}

{# Leaves of a table with a load for each person the rows of the newest. #}
{% macro keep_newest(table) %}{{ return(adapter.dispatch('keep_newest', 'proficio')(table)) }}{% endmacro %}
{% macro default__keep_newest(table) -%}
    merge into {{ table }} as kept using {{ newest_states() }} as newest on kept.person_key = newest.person_key
    when matched and kept.load_id < newest.load_id then delete
{%- endmacro %}
{% macro duckdb__keep_newest(table) -%}
    create or replace table {{ table }} as
    select kept.* from {{ table }} as kept inner join {{ newest_states() }} as newest using (person_key, load_id)
{%- endmacro %}

{# After the rows of a load came to a table: removes older ones of the same people, also of those who have none any more. #}
{% macro forget_replaced(table) %}{{ return(adapter.dispatch('forget_replaced', 'proficio')(table)) }}{% endmacro %}
{% macro default__forget_replaced(table) %}{{ keep_newest(table) }}{% endmacro %}
{% macro duckdb__forget_replaced(table) -%}
    delete from {{ table }} as kept using {{ newest_states() }} as newest
    where kept.person_key = newest.person_key and kept.load_id < newest.load_id
{%- endmacro %}

{# What has to be mended of dbt-spark and Iceberg: a view that is replaced keeps its text in the metastore, the files of a dropped table
   stay, and values of seeds are put in without quoting. #}
{% macro spark__create_view_as(relation, sql) -%}
    {% do run_query('drop view if exists ' ~ relation) %}
    create view {{ relation }} as {{ sql }}
{%- endmacro %}

{% macro spark__drop_relation(relation) -%}
    {% call statement('drop_relation', auto_begin=False) -%}
        drop {{ relation.type if relation.type is not none else 'table' }} if exists {{ relation }}
        {%- if relation.type != 'view' %} purge{% endif %}
    {%- endcall %}
{%- endmacro %}

{% macro spark__load_csv_rows(model, agate_table) %}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- for rows in agate_table.rows | batch(1000) -%}
        {%- set sql -%}
            insert into {{ this.render() }} values
            {% for row in rows -%}
                ({%- for value in row -%}
                    {%- set name = agate_table.column_names[loop.index0] -%}
                    cast(
                        {%- if value is none -%} null
                        {%- else -%} '{{ value | string | replace("\\", "\\\\") | replace("'", "\\'") }}'
                        {%- endif %} as {{ types.get(name, adapter.convert_type(agate_table, loop.index0)) }})
                    {{- ', ' if not loop.last }}
                {%- endfor -%})
                {{- ',' if not loop.last }}
            {% endfor %}
        {%- endset -%}
        {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {%- endfor -%}
    {{ return('') }}
{% endmacro %}
