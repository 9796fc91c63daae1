"""Levels as of each day, as known now: for people whose state changed since, every day anew (transforms/trajectory.py)."""


def model(dbt, session):
    dbt.config(
        materialized="incremental", incremental_strategy="delete+insert", unique_key="person_key", tags=["daily"]
    )
    import numpy as np
    import pyarrow as pa

    from transforms.trajectory import Model, Pieces, by_day

    evidence, states = dbt.ref("int_evidence_in_force"), dbt.ref("int_competency_states")  # noqa: F841 - DuckDB reads them
    parameters, names = dbt.ref("estimator_parameters"), dbt.ref("estimator_competencies")
    grid = dbt.ref("estimator_grid").order("point").fetchnumpy()
    transition = dbt.ref("estimator_transition").order("general_point, point").fetchnumpy()["probability"]
    cuts = dbt.ref("framework_levels").order("level").fetchnumpy()["cut"]
    changed = "select person_key, max(load_id) as load_id from states group by person_key"
    if dbt.is_incremental:
        changed = f"select * from ({changed}) where load_id > (select coalesce(max(load_id), 0) from {dbt.this})"
    session.sql(f"""
        create or replace temp table pieces_of_changed as
        select
            evidence.person_key, evidence.competency, changed.load_id, evidence.occurred_at, evidence.statement_id,
            epoch_us(evidence.occurred_at) / 86400000000.0 as day,
            names.competency_number, evidence.outcome, evidence.counted_weight as weight, evidence.difficulty,
            evidence.slope, evidence.guess, evidence.slip,
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
    """)
    practice = names.order("competency").fetchnumpy()["practice"]
    chosen = parameters.fetchnumpy()
    points = len(grid["ability"])
    estimator = Model(
        grid=np.ascontiguousarray(grid["ability"]),
        general_prior=np.ascontiguousarray(grid["general_prior"]),
        transition=np.ascontiguousarray(transition.reshape(points, points)),
        cuts=np.ascontiguousarray(cuts),
        practice=np.ascontiguousarray(practice),
        **{name: float(chosen[name][0])
           for name in ("fast_retention", "other_retention", "slow_retention", "half_life_days", "practice_curve")},
    )  # fmt: skip

    def days_of(share, shares):
        """The days of one share of the people: all of ten million pieces at once would fill the memory."""
        pieces = session.sql(f"""
            select *, hash(person_key) as person, hash(statement_id) as statement
            from pieces_of_changed
            where hash(person_key) % {shares} = {share}
            order by person_key, occurred_at, statement_id
        """).to_arrow_table()
        given = ("person", "statement", "day", "outcome", "weight", "difficulty", "slope", "guess", "slip")
        days = by_day(
            Pieces(
                **{name: pieces[name].to_numpy() for name in given},
                competency=pieces["competency_number"].to_numpy(),
                retry=pieces["retry"].to_numpy().astype(float),
            ),
            estimator,
        )
        of = pieces.select(["person_key", "competency", "day", "load_id"]).take(pa.array(days.row))
        return pa.table(
            {
                "person": of["person_key"],
                "competency": of["competency"],
                "day": np.floor(of["day"].to_numpy()).astype("datetime64[D]"),
                "level": (days.p_at_least >= 0.5).sum(axis=1).astype(np.int32),
                **{f"p_at_least_{k}": days.p_at_least[:, k - 1] for k in range(1, 5)},
                "ability_mean": days.ability_mean,
                "ability_sd": days.ability_sd,
                "evidence_count": days.count,
                "load_id": of["load_id"],
            }
        )

    shares = 1 + session.sql("select count(*) from pieces_of_changed").fetchall()[0][0] // 1_000_000
    for share in range(shares):
        found = days_of(share, shares)  # noqa: F841 - DuckDB reads it
        write = "insert into days_of_changed" if share else "create or replace temp table days_of_changed as"
        session.sql(f"{write} select cast(person as uuid) as person_key, * exclude (person) from found")
    session.sql("drop table pieces_of_changed")
    return session.table("days_of_changed")
