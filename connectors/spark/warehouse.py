"""What stands around a dbt run on Spark, as connectors/warehouse.py has it for DuckDB: loads, accounts, dead letters, marts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from connectors import publication
from connectors.lake import Lake, LakeFile
from connectors.storage import storage_errors
from connectors.warehouse import Load, new_files, newest_letters
from schemas.errors import InputError
from schemas.lake import STATEMENTS
from schemas.records import StoredRecord
from transforms.identity import Identities

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SETUP = """
create schema if not exists lake;
create table if not exists lake.progress (
    load_id bigint, finished_load_id bigint, completed_load_id bigint, digest string, identities string
) using iceberg;
create table if not exists lake.offsets (topic string, log_partition int, next_offset bigint, load_id bigint) using iceberg;
create table if not exists lake.accounts (account_key string, account string, person_key string)
    using iceberg partitioned by (bucket(16, account_key));
create table if not exists lake.attributes (person_key string, attribute string, value string) using iceberg;
create table if not exists lake.relinked (account_key string, person_key string, load_id bigint) using iceberg;
create table if not exists lake.rejected (
    origin string, source string, clause string, rejected_at timestamp, replayed boolean
) using iceberg;
create table if not exists lake.rejected_offsets (log_partition int, next_offset bigint) using iceberg;
create table if not exists lake.findings (day date, source string, finding string) using iceberg
"""
NO_VIEW = ("mart_explanations",)  # its text is longer than the metastore that Spark brings along (Derby) can keep
_ACCOUNTS_AT_ONCE = 500_000


def begin_load(
    session: "SparkSession", where: Lake, digest: str, identities: Identities, full_refresh: bool = False
) -> Load:
    """Set the view `global_temp.landed` to what landed since the last finished load, and number the load.

    See connectors.warehouse.begin_load. As no transaction spans tables here, offsets bear the load that took them up, and
    count once `lake.progress` says that it is finished.
    """
    for statement in _SETUP.split(";"):
        session.sql(statement)
    before = _progress(session)
    full = full_refresh or digest != before["digest"]
    finished = 0 if full else before["finished_load_id"]
    session.sql("delete from lake.offsets where load_id > ?", args=[finished])
    taken = {(row.topic, row.log_partition): row.next_offset for row in session.sql(_TAKEN).collect()}
    files = new_files(where, taken)
    load_id = before["load_id"] + 1
    _note_progress(session, {**before, "load_id": load_id, "finished_load_id": finished})
    _landed(session, where, files, taken, load_id).createOrReplaceGlobalTempView("landed")
    if before["identities"] != identities.digest:
        _relink(session, identities, load_id)
        _note_attributes(session, identities)
    _assign(session, (row.account for row in session.sql(_NEW_ACCOUNTS).toLocalIterator()), identities)
    (moved,) = session.sql(
        "select count(distinct account_key) from lake.relinked where load_id > ?", args=[finished]
    ).first() or (0,)
    return Load(load_id, finished, files, full, moved)


def finish_load(session: "SparkSession", load: Load, digest: str, identities: Identities, vacuum: bool = False) -> None:
    """Note that every model has taken up a load: the next one starts behind it. With `vacuum`, old snapshots go."""
    if load.files:
        ends = [(topic, partition, offset, load.load_id) for (topic, partition), offset in load.ends.items()]
        _rows(session, ends, "topic string, log_partition int, next_offset bigint, load_id bigint").writeTo(
            "lake.offsets"
        ).append()
    done = {"load_id": load.load_id, "finished_load_id": load.load_id, "completed_load_id": load.load_id}
    _note_progress(session, {**done, "digest": digest, "identities": identities.digest})
    if vacuum:
        for schema in ("lake", "main"):
            for row in session.sql(f"show tables in {schema}").collect():
                if session.catalog.getTable(f"{schema}.{row.tableName}").tableType != "VIEW":
                    session.sql(f"call spark_catalog.system.expire_snapshots(table => '{schema}.{row.tableName}')")


def rows(session: "SparkSession", query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query, as dictionaries; instants in UTC, which pyspark gives without a zone in that of the machine.

    InputError where a table is not there yet.
    """
    with _estimated():
        found = session.sql(query, args=list(parameters) or None).collect()
    return [
        {name: one.astimezone(UTC) if isinstance(one, datetime) else one for name, one in row.asDict().items()}
        for row in found
    ]


@contextmanager
def _estimated() -> Iterator[None]:
    from pyspark.errors import AnalysisException

    try:
        yield
    except AnalysisException as error:
        if error.getErrorClass() != "TABLE_OR_VIEW_NOT_FOUND":
            raise
        raise InputError(
            "Nothing was estimated on Spark yet.", "Estimate first: proficio estimate --target spark."
        ) from None


def rejected_offsets(session: "SparkSession") -> dict[int, int]:
    """For each partition of the dead letters the offset behind the last one that was read into `lake.rejected`.

    InputError before an estimate.
    """
    query = "select log_partition, max(next_offset) as next_offset from lake.rejected_offsets group by log_partition"
    return {row["log_partition"]: row["next_offset"] for row in rows(session, query)}


def note_rejected(session: "SparkSession", partition: int, end: int, letters: Iterable[StoredRecord]) -> int:
    """Write dead letters up to offset `end` of a partition into `lake.rejected`, the newest of each origin; how many came."""
    newest, count = newest_letters(letters)
    columns = "origin string, source string, clause string, rejected_at timestamp, replayed boolean"
    _rows(session, newest, columns).createOrReplaceTempView("letters")
    session.sql("""
        merge into lake.rejected using letters on rejected.origin = letters.origin
        when matched then update set
            source = coalesce(letters.source, rejected.source), clause = coalesce(letters.clause, rejected.clause),
            rejected_at = case when letters.replayed then rejected.rejected_at else letters.rejected_at end,
            replayed = letters.replayed
        when not matched then insert *
    """)
    session.sql("insert into lake.rejected_offsets values (?, ?)", args=[partition, end])
    return count


def stage(session: "SparkSession", folder: Path, queries: Mapping[str, str], memory: str) -> dict[str, int]:
    """Write marts by their queries into a folder, as publication.stage does for DuckDB; rows of each.

    What Spark writes lies in parts, whose folder the driver and the executors share. InputError before an estimate.
    """
    rows = {}
    with storage_errors(folder), _estimated():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for mart, query in queries.items():
            parts = folder.resolve() / f"{mart}.parts"
            session.sql(query).write.mode("overwrite").parquet(str(parts))
            rows[mart] = publication.join_parts(parts, mart, folder / f"{mart}.parquet", memory)
            rmtree(parts)
    return rows


_TAKEN = "select topic, log_partition, max(next_offset) as next_offset from lake.offsets group by topic, log_partition"
_NEW_ACCOUNTS = """
select account from (
    select actor_id as account from global_temp.landed where member_ids is null
    union
    select explode(member_ids) from global_temp.landed where member_ids is not null
) as named where not exists (select 1 from lake.accounts as known where known.account = named.account)
"""
_ACCOUNTS = "account string, person_key string"


def _progress(session: "SparkSession") -> dict[str, Any]:
    found = session.sql("select * from lake.progress").first()
    if found is None:
        return {"load_id": 0, "finished_load_id": 0, "completed_load_id": 0, "digest": None, "identities": None}
    return dict(found.asDict())


def _note_progress(session: "SparkSession", progress: Mapping[str, Any]) -> None:
    """One commit: the row there was goes as this one comes."""
    columns = "load_id bigint, finished_load_id bigint, completed_load_id bigint, digest string, identities string"
    names = [column.split()[0] for column in columns.split(", ")]
    _rows(session, [tuple(progress[name] for name in names)], columns).createOrReplaceTempView("progress_now")
    session.sql("insert overwrite lake.progress select * from progress_now")


def _landed(
    session: "SparkSession", where: Lake, files: Sequence[LakeFile], taken: Mapping[tuple[str, int], int], load_id: int
) -> "DataFrame":
    from pyspark.sql import functions
    from pyspark.sql.pandas.types import from_arrow_schema

    schema = from_arrow_schema(STATEMENTS)
    if not files:
        return session.createDataFrame([], schema).withColumn("load_id", functions.lit(load_id).cast("bigint"))
    found = session.read.schema(schema).parquet(*map(where.address, files))
    known = functions.lit(False)
    for (topic, partition), offset in taken.items():
        if any((file.topic, file.partition) == (topic, partition) and file.first < offset for file in files):
            known |= (
                (found.topic == topic) & (found.log_partition == partition) & (found.log_offset < offset)
            )  # a compacted file holds more than is new
    return found.where(~known).withColumn("load_id", functions.lit(load_id).cast("bigint"))


def _assign(session: "SparkSession", accounts: Iterator[str], identities: Identities) -> None:
    """Write the person of each new account."""
    while some := list(islice(accounts, _ACCOUNTS_AT_ONCE)):
        pairs = list(zip(some, identities.person_keys(some), strict=True))
        _rows(session, pairs, _ACCOUNTS).createOrReplaceTempView("assigned")
        session.sql("insert into lake.accounts select md5(account), account, person_key from assigned")


def _relink(session: "SparkSession", identities: Identities, load_id: int) -> None:
    """Give every account its person anew; note which moved, with the person before and the one now."""
    known = session.sql("select account, person_key from lake.accounts").toLocalIterator()
    moved = [
        (row.account, row.person_key, now)
        for row in known
        if (now := identities.person_key(row.account)) != row.person_key
    ]
    if not moved:
        return
    pairs = [(account, person) for account, *people in moved for person in people]
    _rows(session, pairs, _ACCOUNTS).createOrReplaceTempView("moves")
    session.sql("insert into lake.relinked select md5(account), person_key, ? from moves", args=[load_id])
    _rows(session, [(account, now) for account, _, now in moved], _ACCOUNTS).createOrReplaceTempView("moved")
    session.sql("""
        merge into lake.accounts using moved on accounts.account = moved.account
        when matched then update set person_key = moved.person_key
    """)


def _note_attributes(session: "SparkSession", identities: Identities) -> None:
    given = [(person, attribute, value) for (person, attribute), value in identities.attributes_of_people().items()]
    _rows(session, given, "person_key string, attribute string, value string").createOrReplaceTempView("given")
    session.sql("insert overwrite lake.attributes select * from given")


def _rows(session: "SparkSession", rows: Sequence[tuple[Any, ...]], columns: str) -> "DataFrame":
    return session.createDataFrame(rows, columns)
