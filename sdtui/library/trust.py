"""Which pickles a person has allowed, by path, size and time of change.

Nothing in a pickle is ever run; the question is asked once all the same, because reading a file
that came from anywhere should be somebody's decision.
"""

from __future__ import annotations

import json
from pathlib import Path

from .atomic import replace_text
from .places import Places


def _file(places: Places) -> Path:
    return places.home / "trusted.json"


def _mark(path: Path) -> list[str | int]:
    status = path.stat()
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]


def _load(places: Places) -> list[list[str | int]]:
    try:
        kept = json.loads(_file(places).read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    return [one for one in kept if isinstance(one, list)] if isinstance(kept, list) else []


def is_trusted(places: Places, path: Path) -> bool:
    """Whether this very file was allowed. False when it has changed since, or is gone."""
    try:
        return _mark(path) in _load(places)
    except OSError:
        return False


def trust(places: Places, path: Path) -> None:
    """Allow this file as it is now. Raises OSError."""
    mark = _mark(path)
    kept = [one for one in _load(places) if one[0] != mark[0]]
    replace_text(_file(places), json.dumps([*kept, mark], indent=0))
