{{ config(
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    full_refresh=false,
    pre_hook="{% if is_incremental() %}{{ forget_uncompleted(this) }}{% endif %}"
) }}

-- What was known, when: a row for each competency of a person in each run that brought it evidence.
-- A rebuild keeps the rows that stand here, for nothing else remembers them.
with new_evidence as (

    select distinct
        person_key,
        competency
    from {{ ref('int_evidence') }}
    where load_id > {{ finished_load() }}

)

select
    estimates.person_key,
    estimates.competency,
    estimates.load_id,
    cast({{ as_of() }} as {{ instant_type() }}) as estimated_at,
    estimates.level,
    least(estimates.level, coalesce(gates.allowed_level, estimates.level)) as reported_level,
    estimates.p_at_least_1,
    estimates.p_at_least_2,
    estimates.p_at_least_3,
    estimates.p_at_least_4,
    estimates.ability_mean,
    estimates.ability_sd,
    estimates.evidence_weight,
    estimates.last_evidence_at,
    parameters.framework_version,
    parameters.parameters_version
from {{ ref('int_estimates') }} as estimates
inner join new_evidence
    on estimates.person_key = new_evidence.person_key and estimates.competency = new_evidence.competency
left join {{ ref('int_gates') }} as gates
    on estimates.person_key = gates.person_key and estimates.competency = gates.competency
cross join {{ ref('estimator_parameters') }} as parameters
where estimates.load_id > {{ finished_load() }}
