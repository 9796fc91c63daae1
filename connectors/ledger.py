"""The ledger of feedback: which level each sink was told of each person and competency, in one DuckDB file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from connectors.warehouse import connected, dictionaries
from schemas.errors import InputError
from schemas.policy import Policy

_AT_ONCE = 10_000  # rows in memory
_SETUP = """
create table if not exists told (
    sink varchar, person varchar, competency varchar, level integer, told_at timestamptz,
    primary key (sink, person, competency)
);
create table if not exists refused (
    sink varchar, person varchar, competency varchar, level integer, reason varchar, refused_at timestamptz,
    primary key (sink, person, competency)
);
create table if not exists held (
    sink varchar, person varchar, competency varchar, told_level integer, level integer, since timestamptz,
    evidence_count bigint, primary key (sink, person, competency)
);
create table if not exists begun (
    sink varchar, person varchar, competency varchar, primary key (sink, person, competency)
);
create table if not exists approved (
    sink varchar, person varchar, competency varchar, level integer, approved_at timestamptz,
    primary key (sink, person, competency)
);
"""
# A level is gone where its evidence was taken back and did not only fade; it does not speak below the policy's floor; else
# the told one moves to what is surely above it, or to what is possibly below it. Where telling was begun and broke off,
# nobody knows what the sink heard: it is told what is so now, be it what it was told before.
_JUDGED = """
create or replace temp table judged as
with levels as (from read_parquet($levels)),
told_here as (from told where sink = $sink),
joined as (
    select
        coalesce(levels.person, told_here.person) as person,
        coalesce(levels.competency, told_here.competency) as competency,
        told_here.level as told_level,
        levels.* exclude (person, competency),
        told_here.level is not null
            and (levels.person is null or (levels.insufficient_evidence and not levels.stale)) as gone,
        levels.person is not null and not levels.insufficient_evidence and levels.evidence_count >= $count
            and levels.evidence_weight >= $weight as speaks,
        case when levels.reported_level < levels.level then levels.reported_level else 4 end as allowed,
        [levels.p_at_least_1, levels.p_at_least_2, levels.p_at_least_3, levels.p_at_least_4] as chances
    from levels full join told_here on levels.person = told_here.person and levels.competency = told_here.competency
),
bounded as (
    select
        *,
        least(allowed, len(list_filter(chances, lambda chance: chance >= $certainty))) as surely,
        least(allowed, len(list_filter(chances, lambda chance: chance > 1 - $certainty))) as possibly
    from joined
),
wanted as (
    select
        * exclude (chances, surely, possibly, allowed),
        case
            when gone then null
            when not speaks then told_level
            when told_level is null then reported_level
            when surely > told_level then surely
            when possibly < told_level and $decreases then possibly
            else told_level
        end as wanted_level
    from bounded
),
changing as (
    select
        wanted.*,
        $holds and begun.person is null and wanted.told_level is not null and wanted.wanted_level is not null as has_to_hold,
        held.person is not null and held.told_level = wanted.told_level
            and sign(held.level - held.told_level) = sign(wanted.wanted_level - wanted.told_level) as held_before,
        held.level as held_level, held.since as held_since, held.evidence_count as held_count
    from wanted
    left join held on held.sink = $sink and held.person = wanted.person and held.competency = wanted.competency
    left join begun on begun.sink = $sink and begun.person = wanted.person and begun.competency = wanted.competency
    where wanted.wanted_level is distinct from wanted.told_level or begun.person is not null
),
settled as (
    select
        * exclude (held_level, held_since, held_count, reported_level, reported_level_name, wanted_level),
        -- What held is the least change of the turns it took: 1 to 3 and then to 2 is 2 since the first.
        cast(case
            when not (has_to_hold and held_before) then wanted_level
            when wanted_level > told_level then least(wanted_level, held_level)
            else greatest(wanted_level, held_level)
        end as integer) as reported_level,
        if(held_before, held_since, $now) as since,
        if(held_before, held_count, evidence_count) as since_count
    from changing
)
select
    settled.* exclude (gone, speaks, held_before),
    list_extract($names, settled.reported_level + 1) as reported_level_name,
    case
        when refused.person is not null then 'refused before'
        when settled.has_to_hold and epoch($now) - epoch(settled.since) < $hold_seconds
            and settled.evidence_count - settled.since_count < $hold_evidence then 'held'
        when not $everyone and audience.person is null then 'not reached'
        when settled.reported_level is not null and not coalesce(consents.agreed, $assumed) then 'no consent'
        when $approval and settled.reported_level is not null
            and (approved.person is null or approved.level <> settled.reported_level) then 'to be approved'
        else 'due'
    end as state
from settled
left join consents on settled.person = consents.person
left join audience on settled.person = audience.person
left join refused on refused.sink = $sink and refused.person = settled.person
    and refused.competency = settled.competency and refused.level is not distinct from settled.reported_level
left join approved on approved.sink = $sink and approved.person = settled.person and approved.competency = settled.competency
order by settled.person, settled.competency
"""
_NEVER = 2**62


class Ledger:
    """An open ledger."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, writing: "Lock | None" = None) -> None:
        self._connection = connection
        self._writing = writing or Lock()

    @contextmanager
    def another(self) -> Iterator["Ledger"]:
        """The same ledger for another thread."""
        with self._connection.cursor() as cursor:
            cursor.execute("set TimeZone = 'UTC'")
            yield Ledger(cursor, self._writing)

    def judge(
        self, levels: Path, names: Sequence[str], sink: str, policy: Policy, consents: Mapping[str, bool],
        audience: Collection[str] | None, now: datetime,
    ) -> dict[str, int]:  # fmt: skip
        """Compare the published mart_levels with what a sink was told; how many changes are in which state.

        States are due, held (has to hold longer), no consent, not reached (not of the `audience`, where there is one), to be
        approved, and refused before. `names` are those of the levels, the first that of level 0; `consents` says who agreed and
        who did not. InputError where no levels are published.
        """
        if not levels.exists():
            raise InputError("There are no published levels yet.", "Run proficio estimate and proficio publish first.")
        said = {"person": list(consents), "agreed": list(consents.values())}
        self._connection.register("consents", pa.table(said, schema=_CONSENTS))
        self._connection.register("audience", pa.table({"person": list(audience or ())}, schema=_AUDIENCE))
        given = {
            "everyone": audience is None, "levels": str(levels),
            "names": list(names), "sink": sink, "now": now, "certainty": policy.certainty,
            "decreases": policy.decreases, "count": policy.minimum_evidence_count, "weight": policy.minimum_evidence_weight,
            "holds": policy.holds, "hold_seconds": 86_400 * policy.hold_days if policy.hold_days else _NEVER,
            "hold_evidence": policy.hold_evidence or _NEVER, "assumed": policy.consent == "assumed",
            "approval": policy.approval,
        }  # fmt: skip
        self._connection.execute(_JUDGED, given)
        self._connection.unregister("consents")
        self._connection.unregister("audience")
        counts = self._connection.execute("select state, count(*) from judged group by state order by state").fetchall()
        return dict(counts)

    def keep_held(self, sink: str) -> None:
        """Note since when what was judged last holds, for the next time."""
        with self._changing():
            self._connection.execute("delete from held where sink = ?", [sink])
            self._connection.execute(
                "insert into held select ?, person, competency, told_level, reported_level, since, since_count "
                "from judged where has_to_hold", [sink],
            )  # fmt: skip

    def judged(self, state: str | None = None) -> Iterator[list[dict[str, Any]]]:
        """The changes that were judged last, of one state or of all, in pieces: rows of mart_levels with `state`.

        `told_level` is what the sink was told before, None for nothing; `reported_level` and its name are what to tell it
        now, None where nothing is to be told any more.
        """
        start = 0
        while rows := self._rows(start, state):
            places = [row.pop("place") for row in rows]
            yield rows
            start = places[-1] + 1

    def begin(self, sink: str, rows: Sequence[dict[str, Any]]) -> None:
        """Note that a sink is about to be told what these rows say."""
        with self._noting(rows):
            self._connection.execute("insert or ignore into begun select ?, person, competency from noted", [sink])

    def note(self, sink: str, rows: Sequence[dict[str, Any]], now: datetime) -> None:
        """Note that a sink was told what these rows say."""
        with self._noting(rows):
            for table in ("told", "refused", "held", "approved", "begun"):
                self._connection.execute(
                    f"delete from {table} where sink = ? and (person, competency) in (select (person, competency) from noted)",  # noqa: S608
                    [sink],
                )
            self._connection.execute(
                "insert into told select ?, person, competency, reported_level, ? from noted where reported_level is not null",
                [sink, now],
            )

    def note_refused(self, sink: str, row: dict[str, Any], reason: str, now: datetime) -> None:
        """Note that a sink refuses to hear what a row says, and why."""
        with self._noting([row]):
            self._connection.execute(
                "insert or replace into refused select ?, person, competency, reported_level, ?, ? from noted",
                [sink, reason, now],
            )
            self._connection.execute(
                "delete from begun where sink = ? and (person, competency) in (select (person, competency) from noted)",
                [sink],
            )

    def of(self, person: str) -> list[dict[str, Any]]:
        """What sinks were told of a person, and when."""
        return dictionaries(
            self._connection.execute("from told where person = ? order by told_at, sink, competency", [person])
        )

    def refused(self) -> list[dict[str, Any]]:
        """What sinks refuse, newest first."""
        return dictionaries(self._connection.execute("from refused order by refused_at desc, person, competency"))

    def approve(self, sink: str, person: str | None, now: datetime) -> int:
        """Approve what was judged last and waits for it, of one person or of all; how many changes."""
        with self._changing():
            done = self._connection.execute(
                "insert or replace into approved select $sink, person, competency, reported_level, $now from judged "
                "where state = 'to be approved' and ($person is null or person = $person)",
                {"sink": sink, "person": person, "now": now},
            ).fetchone()
        return done[0] if done else 0

    def forget(self, sink: str, since: datetime) -> None:
        """Let a sink be told once more what it was told, and asked again what it refused, from a moment on."""
        with self._changing():
            self._connection.execute("delete from told where sink = ? and told_at >= ?", [sink, since])
            self._connection.execute("delete from refused where sink = ? and refused_at >= ?", [sink, since])

    @contextmanager
    def _noting(self, rows: Sequence[dict[str, Any]]) -> Iterator[None]:
        """A transaction that sees these rows as the table `noted`."""
        told = {name: [row[name] for row in rows] for name in ("person", "competency", "reported_level")}
        self._connection.register("noted", pa.table(told, schema=_NOTED))
        try:
            with self._changing():
                yield
        finally:
            self._connection.unregister("noted")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._writing:
            self._connection.execute("begin")
            try:
                yield
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def _rows(self, start: int, state: str | None) -> list[dict[str, Any]]:
        return dictionaries(
            self._connection.execute(
                "select rowid as place, * from judged where rowid >= $start and ($state is null or state = $state) "
                "order by rowid limit $most", {"start": start, "state": state, "most": _AT_ONCE},
            )
        )  # fmt: skip


_NOTED = pa.schema([("person", pa.string()), ("competency", pa.string()), ("reported_level", pa.int32())])
_AUDIENCE = pa.schema([("person", pa.string())])
_CONSENTS = pa.schema([("person", pa.string()), ("agreed", pa.bool_())])


@contextmanager
def ledger(path: Path) -> Iterator[Ledger]:
    """The ledger in a file. UnavailableError while another process has it."""
    with connected(path) as connection:
        connection.execute(f"set TimeZone = 'UTC'; {_SETUP}")
        yield Ledger(connection)
