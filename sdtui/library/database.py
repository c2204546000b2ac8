"""Opening the two databases: WAL, one schema number, migrations in order, damage told plainly.

The schema number is SQLite's `user_version`. A migration is a script that takes the database from
one number to the next; what it does and the new number are one transaction, so a kill in the middle
leaves the old schema. Only the backend writes; everybody else opens `mode=ro`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

Migration = str
"""SQL statements, without transaction commands, from schema n to n + 1."""

BUSY_S = 10.0


class DatabaseProblem(OSError):
    """A database that cannot be used; the message says which, why and what to do."""


class NewerSchema(DatabaseProblem):
    """Written by a newer sdtui."""


def open_writable(
    path: Path, migrations: Sequence[Migration], *, durable: bool
) -> sqlite3.Connection:
    """Open `path`, made and brought to the newest schema if need be, in autocommit mode.

    durable: every commit reaches the disk before it returns, for what cannot be rebuilt. Without it
    a commit survives the end of the process (kill -9), but not a power cut.

    Raises:
        NewerSchema: a newer sdtui wrote it.
        sqlite3.Error: it is damaged or cannot be written.
    """
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def open_readonly(path: Path) -> sqlite3.Connection:
    """Open an existing database for reading. Raises sqlite3.Error, also when there is none."""
    uri = f"file:{_quoted(path)}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def schema_of(connection: sqlite3.Connection) -> int:
    """The schema number; 0 in a new database. Raises sqlite3.Error when it is no database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_sound(connection: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError if the file is damaged, and closes the connection."""
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except sqlite3.Error:
        connection.close()
        raise


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    found = schema_of(connection)
    if found > len(migrations):
        raise NewerSchema(
            f"{path} was written by a newer sdtui (schema {found}, this one knows "
            f"{len(migrations)}). Update sdtui, or choose another place with --home DIR"
        )
    for number in range(found, len(migrations)):
        connection.executescript(
            f"BEGIN IMMEDIATE; {migrations[number]}; PRAGMA user_version = {number + 1}; COMMIT;"
        )


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
