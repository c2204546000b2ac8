"""The index of pictures: which are the latest, which have these words in their prompt.

The pictures are the truth. The index can be rebuilt from them at any time, and is, when it is
missing, damaged or of another schema. Only the backend writes it (`GalleryWriter`); everybody else
reads (`Gallery`), from any thread.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from unicodedata import category

from sdtui.formats import infotext

from .database import check_sound, open_readonly, open_writable, schema_of
from .places import Places

log = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE picture (
        id INTEGER PRIMARY KEY,
        path TEXT NOT NULL UNIQUE,
        job INTEGER,             -- NULL when it was found on the disk
        created_s REAL NOT NULL,
        seed INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
        prompt TEXT NOT NULL,
        infotext TEXT NOT NULL
    );
    CREATE INDEX picture_by_time ON picture (created_s DESC, id DESC);
    CREATE VIRTUAL TABLE words USING fts5 (prompt, content = 'picture', content_rowid = 'id');
    CREATE TRIGGER words_in AFTER INSERT ON picture BEGIN
        INSERT INTO words (rowid, prompt) VALUES (new.id, new.prompt);
    END;
    CREATE TRIGGER words_out AFTER DELETE ON picture BEGIN
        INSERT INTO words (words, rowid, prompt) VALUES ('delete', old.id, old.prompt);
    END;
    """,
)
"""One entry for good: when the schema changes, it is replaced and SCHEMA counts up."""
SCHEMA = len(MIGRATIONS)

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
NICE = 10
SEED_DIGITS = 18
"""More do not fit into SQLite's integers, and no program draws such seeds."""


class NewPicture(Protocol):
    """What the index needs to know of a picture; `backend.protocol.SavedImage` is one."""

    path: str
    seed: int
    width: int
    height: int
    infotext: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the index."""

    path: str
    job: int | None
    created_s: float
    seed: int
    width: int
    height: int
    prompt: str
    infotext: str


COLUMNS = ", ".join(Picture.__slots__)


class Gallery:
    """Reads the index. Pictures whose file is gone are left out; no index means no pictures."""

    def __init__(self, places: Places) -> None:
        self._path = places.library_db

    def latest(self, limit: int = 50) -> list[Picture]:
        """The newest pictures, newest first."""
        return self._find("SELECT {} FROM picture ORDER BY created_s DESC, id DESC", (), limit)

    def search(self, text: str, limit: int = 50) -> list[Picture]:
        """Pictures with all these words (or their beginnings) in the prompt, newest first."""
        words = [word for word in text.split() if any(char.isalnum() for char in word)]
        if not words:
            return self.latest(limit)
        # The index knows words between spaces; languages without spaces are searched as they are.
        other = [word for word in words if any(category(char) == "Lo" for char in word)]
        plain = [word for word in words if word not in other]
        where = ["prompt LIKE ? ESCAPE '\\'"] * len(other)
        values = [f"%{_escaped(word)}%" for word in other]
        if plain:
            where.append("id IN (SELECT rowid FROM words WHERE words MATCH ?)")
            values.append(" AND ".join(_quoted(word) for word in plain))
        condition = " AND ".join(where)
        return self._find(
            f"SELECT {{}} FROM picture WHERE {condition} ORDER BY created_s DESC, id DESC",
            tuple(values),
            limit,
        )

    def _find(self, query: str, values: tuple[str, ...], limit: int) -> list[Picture]:
        try:
            connection = open_readonly(self._path)
        except sqlite3.Error:
            return []  # nothing was made yet
        found: list[Picture] = []
        try:
            for row in connection.execute(query.format(COLUMNS), values):
                if len(found) == limit:
                    break
                if Path(row["path"]).exists():
                    found.append(Picture(*row))
        except sqlite3.Error as error:
            log.warning("the index of pictures cannot be read: %s", error)
        finally:
            connection.close()
        return found


class GalleryWriter(Gallery):
    """Keeps the index. Belongs to the backend's asyncio thread."""

    def __init__(self, places: Places) -> None:
        """Open or make the index. Raises sqlite3.Error if it cannot be written."""
        super().__init__(places)
        self._outputs = places.outputs
        self._db = self._open()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def _open(self) -> sqlite3.Connection:
        try:
            if self._path.exists():
                with_schema = open_readonly(self._path)
                try:
                    if schema_of(with_schema) != SCHEMA:
                        raise sqlite3.DatabaseError("another schema")
                finally:
                    with_schema.close()
            db = open_writable(self._path, MIGRATIONS, durable=False)
            check_sound(db)
            _check_tables(db)
            return db
        except sqlite3.OperationalError:
            raise  # locked, full, not writable: the file itself is sound
        except sqlite3.DatabaseError as error:
            log.warning("the index of pictures is made again from the files: %s", error)
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return open_writable(self._path, MIGRATIONS, durable=False)

    def add(self, image: NewPicture, job: int | None, created_s: float) -> None:
        """Put a picture in, or what is new about it. Raises sqlite3.Error."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            # Not REPLACE, which would leave the words of the old row in the index.
            self._db.execute("DELETE FROM picture WHERE path = ?", (image.path,))
            _insert(self._db, image, job, created_s)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rebuild(self) -> int:
        """Bring the index up to the files below the output folder; how many were new.

        Reads only files that the index does not know. Raises sqlite3.Error.
        """
        db = open_writable(self._path, MIGRATIONS, durable=False)
        try:
            _mend_words(db)
            known = {row["path"] for row in db.execute("SELECT path FROM picture")}
            gone = [path for path in known if not Path(path).exists()]
            db.executemany("DELETE FROM picture WHERE path = ?", [(path,) for path in gone])
            new = 0
            for path in _pictures_below(self._outputs):
                if self._stop.is_set():
                    break
                if str(path) in known or (picture := read_picture(path)) is None:
                    continue
                new += _insert(db, picture, picture.job, picture.created_s)
            return new
        finally:
            db.close()

    def refresh_in_background(self) -> None:
        """`rebuild` in a thread that gives way to everything else."""
        self._thread = threading.Thread(target=self._refresh, name="gallery", daemon=True)
        self._thread.start()

    def _refresh(self) -> None:
        # On Linux niceness belongs to the thread.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            new = self.rebuild()
            if new:
                log.info("%d pictures were new to the index", new)
        except (sqlite3.Error, OSError):
            log.exception("the index of pictures could not be brought up to date")

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)
        self._db.close()


def _check_tables(db: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError if what the schema number promises is not there."""
    try:
        db.execute(f"SELECT {COLUMNS} FROM picture LIMIT 0")
        db.execute("SELECT rowid FROM words LIMIT 0")
    except sqlite3.OperationalError as error:
        db.close()
        raise sqlite3.DatabaseError(str(error)) from None


def _mend_words(db: sqlite3.Connection) -> None:
    """Make the index of words again from the prompts if the two do not agree."""
    try:
        db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        log.warning("the index of words is made again: %s", error)
        db.execute("INSERT INTO words (words) VALUES ('rebuild')")


def _insert(db: sqlite3.Connection, image: NewPicture, job: int | None, created_s: float) -> bool:
    """Put a picture in if its path is free; whether it was."""
    cursor = db.execute(
        "INSERT INTO picture (path, job, created_s, seed, width, height, prompt, infotext) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO NOTHING",
        (
            image.path,
            job,
            created_s,
            image.seed,
            image.width,
            image.height,
            infotext.parse(image.infotext).prompt,
            image.infotext,
        ),
    )
    return cursor.rowcount > 0


def _pictures_below(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            if path.suffix.lower() not in SUFFIXES or name.startswith(".tmp-"):
                continue
            if str(path) != _storable(str(path)):
                log.warning("%r is not in the index: its name is not UTF-8", os.fsencode(path))
                continue
            yield path


def _storable(text: str) -> str:
    """Text that SQLite takes: halves of characters become question marks."""
    return text.encode("utf-8", "replace").decode()


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '" *'


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def read_picture(path: Path) -> Picture | None:
    """What a picture file says of itself; None if it is none, or cannot be read."""
    from sdtui.formats import image_info

    try:
        found = image_info.read(path)
        created_s = path.stat().st_mtime
    except (OSError, image_info.ImageInfoError) as error:
        log.info("%s is not in the index: %s", path, error)
        return None
    text = _storable(found.infotext)
    known = infotext.parse(text)
    seed = str(known.params.get("Seed", ""))
    return Picture(
        path=str(path),
        job=None,
        created_s=created_s,
        seed=int(seed) if seed.isascii() and seed.isdigit() and len(seed) <= SEED_DIGITS else 0,
        width=found.width,
        height=found.height,
        prompt=known.prompt,
        infotext=text,
    )
