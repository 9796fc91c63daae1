select
    competencies.competency,
    competencies.competency_name,
    competencies.competency_description,
    competencies.group_id,
    groups.group_name,
    competencies.competency_number,
    competencies.descriptor_1,
    competencies.descriptor_2,
    competencies.descriptor_3,
    competencies.descriptor_4,
    competencies.retired as is_retired,
    parameters.framework_id,
    parameters.framework_version
from {{ ref('framework_competencies') }} as competencies
inner join {{ ref('framework_competency_groups') }} as groups on competencies.group_id = groups.group_id
cross join {{ ref('estimator_parameters') }} as parameters
