"""What SQLite files share."""

import sqlite3
import time

_PATIENCE = 60.0  # seconds


def settle(connection: sqlite3.Connection) -> None:
    """Bring everything from the write-ahead log into the file, and empty it: what was deleted is in neither then.

    sqlite3.OperationalError where readers never let go.
    """
    until = time.monotonic() + _PATIENCE
    while connection.execute("pragma wal_checkpoint(truncate)").fetchone()[0]:
        if time.monotonic() > until:
            raise sqlite3.OperationalError("database is locked: a reader keeps its write-ahead log from being emptied")
        time.sleep(0.1)
