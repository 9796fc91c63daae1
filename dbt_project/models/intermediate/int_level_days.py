"""Levels as of each day, as known now: for people whose state changed since, every day anew (transforms/level_days.py)."""


def model(dbt, session):
    dbt.config(materialized="incremental", unique_key="person_key", tags=["daily"], submission_method="session")
    from transforms.level_days import DAYS, days_of, model_of

    evidence, states = dbt.ref("int_evidence_in_force"), dbt.ref("int_competency_states")
    parameters, names = dbt.ref("estimator_parameters"), dbt.ref("estimator_competencies")
    changed = "select person_key, max(load_id) as load_id from states group by person_key"
    if dbt.is_incremental:
        changed = (
            f"select * from ({changed}) as newest where load_id > (select coalesce(max(load_id), 0) from {dbt.this})"
        )
    pieces = f"""
        select
            cast(evidence.person_key as string) as person_key, evidence.competency, changed.load_id,
            evidence.occurred_at, cast(evidence.statement_id as string) as statement_id, names.competency_number,
            evidence.outcome, evidence.counted_weight as weight, evidence.difficulty, evidence.slope, evidence.guess,
            evidence.slip,
            case
                when evidence.previous_outcome is null then 0
                when evidence.previous_outcome >= 0.5 then parameters.after_success
                else parameters.after_failure
            end as retry
        from evidence
        inner join ({changed}) as changed on evidence.person_key = changed.person_key
        inner join (select competency, row_number() over (order by competency) - 1 as competency_number from names) as names
            on evidence.competency = names.competency
        cross join parameters
    """
    order = ["person_key", "occurred_at", "statement_id"]
    tables = [dbt.ref("estimator_grid"), dbt.ref("estimator_transition"), dbt.ref("framework_levels")]

    if hasattr(session, "sparkContext"):
        from pyspark.sql.pandas.types import from_arrow_schema

        views = {"evidence": evidence, "states": states, "parameters": parameters, "names": names}
        for name, frame in views.items():
            frame.createOrReplaceTempView(name)
        estimator = model_of(*([row.asDict() for row in one.collect()] for one in (*tables, parameters, names)))
        found = session.sql(pieces)
        shares = found.repartition(1 + found.count() // 1_000_000, "person_key").sortWithinPartitions(*order)

        def of_share(batches):
            import pyarrow as pa

            yield from days_of(pa.Table.from_batches(list(batches)), estimator).to_batches()

        return shares.mapInArrow(of_share, from_arrow_schema(DAYS))

    estimator = model_of(*(one.to_arrow_table().to_pylist() for one in (*tables, parameters, names)))
    session.sql(f"create or replace temp table pieces_of_changed as {pieces}")
    shares = 1 + session.sql("select count(*) from pieces_of_changed").fetchall()[0][0] // 1_000_000
    for share in range(shares):  # all of ten million pieces at once would fill the memory
        mine = f"from pieces_of_changed where hash(person_key) % {shares} = {share} order by {', '.join(order)}"
        found = days_of(session.sql(mine).to_arrow_table(), estimator)
        write = "insert into days_of_changed" if share else "create or replace temp table days_of_changed as"
        session.sql(f"{write} select * replace (cast(person_key as uuid) as person_key) from found")
    session.sql("drop table pieces_of_changed")
    return session.table("days_of_changed")
