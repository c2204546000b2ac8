"""Which model files the backend has mapped, written down for the one that comes after it.

A mapped file that is overwritten or cut off in place ends the process (SIGBUS) at the next touch
of its pages. The next backend finds the list, sees which file has changed, and can say so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from .atomic import replace_quickly
from .places import Places
from .stamp import Stamp

log = logging.getLogger(__name__)


def _file(places: Places) -> Path:
    return places.cache / "models-in-use.json"


def note(places: Places, stamps: Iterable[Stamp]) -> None:
    """These files are mapped from now on, and no others."""
    lines = [[str(one.path), *one.inode, one.size, one.mtime_ns] for one in stamps]
    try:
        replace_quickly(_file(places), json.dumps(lines).encode())
    except OSError as error:
        log.warning("the models in use could not be noted: %s", error)


def overwritten(places: Places) -> Path | None:
    """The first noted file that is the same file with other contents."""
    try:
        lines = json.loads(_file(places).read_bytes())
        stamps = [Stamp(Path(path), (dev, ino), *rest) for path, dev, ino, *rest in lines]
    except (OSError, ValueError, TypeError):
        return None
    return next((one.path for one in stamps if one.overwritten), None)
