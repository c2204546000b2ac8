"""The queue on disk: jobs, their order, their pictures. It survives kill -9.

What a client was told is in here before it is told: a queued job is on the disk when `Queued` goes
out. Only the backend's asyncio thread calls this. The same file will hold ratings and notes.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from sdtui.library.database import check_sound, open_writable

from .protocol import ENDED, ErrorInfo, JobState, JobView, Progress, SavedImage

log = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE job (
        job INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        place INTEGER NOT NULL,  -- order among the waiting ones
        title TEXT NOT NULL,
        params TEXT NOT NULL,    -- JSON
        created_s REAL NOT NULL,
        started_s REAL,
        ended_s REAL,
        error TEXT               -- JSON
    );
    CREATE INDEX job_by_state ON job (state, place);
    CREATE TABLE image (
        job INTEGER NOT NULL REFERENCES job (job) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        path TEXT NOT NULL, seed INTEGER NOT NULL,
        width INTEGER NOT NULL, height INTEGER NOT NULL, infotext TEXT NOT NULL,
        PRIMARY KEY (job, number)
    ) WITHOUT ROWID;
    """,
)
"""Entry n takes the schema from n to n + 1; entries are only ever added."""

BROKEN_OFF = ErrorInfo(
    what="The backend ended while this was being made",
    hint="Finished pictures are kept; retry makes the job again",
)


class QueueError(ValueError):
    """A request the queue cannot follow; the message is for a person."""


class JobQueue:
    """Jobs in SQLite. States go queued -> running -> one of protocol.ENDED, never back."""

    def __init__(self, path: Path) -> None:
        """Open or make the database. Raises NewerSchema, sqlite3.OperationalError, OSError.

        A damaged file is kept under another name and a new queue begins; `.replaced` tells.
        """
        self.replaced: Path | None = None
        try:
            self._db = open_writable(path, MIGRATIONS, durable=True)
            check_sound(self._db)
        except sqlite3.OperationalError:
            raise  # locked, full, not writable: the file itself is sound
        except sqlite3.DatabaseError as error:
            self.replaced = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
            log.error("%s is damaged (%s); it is kept as %s", path, error, self.replaced)
            path.rename(self.replaced)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._db = open_writable(path, MIGRATIONS, durable=True)

    def close(self) -> None:
        self._db.close()

    # ------------------------------------------------------------ reading

    def get(self, job: int) -> JobView:
        """Raises QueueError if there is no such job."""
        row = self._db.execute("SELECT * FROM job WHERE job = ?", (job,)).fetchone()
        if row is None:
            raise QueueError(f"there is no job {job}")
        return self._view(row)

    def waiting(self) -> tuple[int, ...]:
        """The waiting jobs, next one first."""
        rows = self._db.execute("SELECT job FROM job WHERE state = 'queued' ORDER BY place")
        return tuple(row["job"] for row in rows)

    def unfinished(self) -> list[JobView]:
        """Running jobs, then the waiting ones in order."""
        rows = self._db.execute(
            "SELECT * FROM job WHERE state IN ('running', 'queued') ORDER BY state DESC, place"
        ).fetchall()
        return [self._view(row) for row in rows]

    def ended(self, limit: int) -> list[JobView]:
        """The latest ended jobs, newest first."""
        rows = self._db.execute(
            "SELECT * FROM job WHERE state NOT IN ('running', 'queued') "
            "ORDER BY ended_s DESC, job DESC LIMIT ?",
            (limit,),
        ).fetchall()
        return [self._view(row) for row in rows]

    def _view(self, row: sqlite3.Row) -> JobView:
        images = tuple(
            SavedImage(**{name: image[name] for name in image.keys()})  # noqa: SIM118 - a Row
            for image in self._db.execute(
                "SELECT path, seed, width, height, infotext FROM image WHERE job = ? "
                "ORDER BY number",
                (row["job"],),
            )
        )
        return JobView(
            job=row["job"],
            kind=row["kind"],
            state=row["state"],
            title=row["title"],
            params=json.loads(row["params"]),
            created_s=row["created_s"],
            started_s=row["started_s"],
            ended_s=row["ended_s"],
            error=ErrorInfo.model_validate_json(row["error"]) if row["error"] else None,
            images=images,
            progress=Progress(image=len(images)),
        )

    # ------------------------------------------------------------ writing

    def add(
        self, params: dict[str, Any], title: str, created_s: float,
        kind: Literal["generate"] = "generate",
    ) -> JobView:  # fmt: skip
        """Put a job at the end of the queue."""
        cursor = self._db.execute(
            "INSERT INTO job (kind, state, place, title, params, created_s) VALUES (?, 'queued', "
            "(SELECT coalesce(max(place), 0) + 1 FROM job), ?, ?, ?)",
            (kind, title, json.dumps(params), created_s),
        )
        assert cursor.lastrowid is not None
        return self.get(cursor.lastrowid)

    def start(self, job: int, started_s: float) -> None:
        self._db.execute(
            "UPDATE job SET state = 'running', started_s = ? WHERE job = ?", (started_s, job)
        )

    def end(self, job: int, state: JobState, ended_s: float, error: ErrorInfo | None) -> None:
        """Bring a job to an end state; one that has ended already stays as it is."""
        assert state in ENDED, state
        self._db.execute(
            "UPDATE job SET state = ?, ended_s = ?, error = ? "
            "WHERE job = ? AND state IN ('queued', 'running')",
            (state, ended_s, error.model_dump_json() if error else None, job),
        )

    def add_image(self, job: int, image: SavedImage) -> None:
        self._db.execute(
            "INSERT INTO image (job, number, path, seed, width, height, infotext) VALUES (?, "
            "(SELECT count(*) FROM image WHERE job = ?), ?, ?, ?, ?, ?)",
            (job, job, image.path, image.seed, image.width, image.height, image.infotext),
        )

    def move(self, job: int, by: int) -> None:
        """Move a waiting job by `by` places (negative: sooner), as far as the queue goes.

        Raises QueueError if the job does not wait.
        """
        order = list(self.waiting())
        if job not in order:
            raise QueueError(f"job {job} is not waiting, so it cannot be moved")
        old = order.index(job)
        order.insert(max(0, min(old + by, len(order) - 1)), order.pop(old))
        self._place(order)

    def _place(self, order: Iterable[int]) -> None:
        """Give the waiting jobs this order, in the places they hold together."""
        order = list(order)
        marks = ", ".join("?" * len(order))
        places = sorted(
            row["place"]
            for row in self._db.execute(f"SELECT place FROM job WHERE job IN ({marks})", order)
        )
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "UPDATE job SET place = ? WHERE job = ?", list(zip(places, order, strict=True))
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def recover(self, now_s: float, error: ErrorInfo = BROKEN_OFF) -> list[int]:
        """Mark what a backend left running as interrupted; the jobs it concerned."""
        jobs = [row["job"] for row in self._db.execute("SELECT job FROM job WHERE state='running'")]
        for job in jobs:
            self.end(job, "interrupted", now_s, error)
        return jobs

    # ------------------------------------------------------------ settings that outlive the process

    @property
    def paused(self) -> bool:
        row = self._db.execute("SELECT value FROM setting WHERE name = 'paused'").fetchone()
        return row is not None and row["value"] == "1"

    @paused.setter
    def paused(self, value: bool) -> None:
        self._db.execute(
            "INSERT INTO setting VALUES ('paused', ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            ("1" if value else "0",),
        )
