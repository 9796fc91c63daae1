"""How often a client may ask: a bucket of requests for each, which leaks (GCRA, ITU-T I.371), in the process or on a server."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiolimiter import AsyncLimiter
from sqlalchemy import Column, Double, MetaData, Table, Text

from connectors.database import Database, Where, sql

TABLES = MetaData()
Table("rates", TABLES, Column("client", Text, primary_key=True), Column("empty_at", Double), prefixes=["unlogged"])
# One statement, so that requests of a client at several receivers are counted one after another. No row: the bucket is full.
_COUNT = """
insert into rates values (:client, extract(epoch from statement_timestamp()) + :seconds / :most)
on conflict (client) do update
set empty_at = greatest(rates.empty_at, extract(epoch from statement_timestamp())) + :seconds / :most
where greatest(rates.empty_at, extract(epoch from statement_timestamp())) + :seconds / :most
    <= extract(epoch from statement_timestamp()) + :seconds
returning 1
"""
_PERIODS = {"second": 1, "minute": 60, "hour": 3600}
Counting = Callable[[str], Awaitable[bool]]


class Rate(NamedTuple):
    """So many requests in a period of so many seconds."""

    most: int
    period: str
    seconds: float


def parsed(rate: str) -> Rate:
    """A rate such as `30000/minute`."""
    most, _, period = rate.partition("/")
    return Rate(int(most), period, _PERIODS[period])


def counted_alone(rate: Rate) -> Counting:
    """Counts a request of a client, and says whether it may be; in the process."""
    limiters = defaultdict[str, AsyncLimiter](lambda: AsyncLimiter(rate.most, rate.seconds))

    async def count(client: str) -> bool:
        if not limiters[client].has_capacity():
            return False
        await limiters[client].acquire()
        return True

    return count


def counted_shared(where: Where, rate: Rate) -> Counting:
    """The same for several receivers together, on a server."""
    database = Database(where, TABLES)

    def counted(client: str) -> bool:
        given = {"client": client, "most": float(rate.most), "seconds": rate.seconds}
        with database.writing() as connection:
            connection.execute(sql("set local synchronous_commit = off"))
            return connection.execute(sql(_COUNT), given).fetchone() is not None

    async def count(client: str) -> bool:
        return await asyncio.to_thread(counted, client)

    return count
