"""What model files are, remembered by path, size and time of change: 300 checkpoints in no time.

In memory, and in the cache folder for the next process.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sdtui.formats.header import HeaderError
from sdtui.formats.model_kind import UNKNOWN, ModelKind, what_is

from .atomic import replace_quickly
from .places import Places

log = logging.getLogger(__name__)

RULES = 1
"""Counted up when files are judged by other rules: what was remembered is then forgotten."""
Judged = tuple[ModelKind, str]
"""(kind, problem): the problem is a sentence, or “”."""


class _Known:
    def __init__(self, file: Path) -> None:
        self.file, self.changed = file, False
        self.entries: dict[str, tuple[int, int, Judged]] = {}
        try:
            kept = json.loads(file.read_bytes())
            if kept["rules"] == RULES:
                self.entries = {path: _entry(*one) for path, one in kept["files"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return  # a cache that cannot be read is as good as none

    def remember(self) -> None:
        self.changed = False
        files = {
            path: [size, mtime_ns, {**asdict(kind), "parts": sorted(kind.parts)}, problem]
            for path, (size, mtime_ns, (kind, problem)) in list(self.entries.items())
            if Path(path).exists()
        }
        try:
            replace_quickly(self.file, json.dumps({"rules": RULES, "files": files}).encode())
        except OSError as error:
            log.warning("what models are could not be kept: %s", error)


_known: dict[Path, _Known] = {}


def _entry(size: int, mtime_ns: int, kind: dict[str, Any], problem: str) -> tuple[int, int, Judged]:
    made = ModelKind(**{**kind, "parts": frozenset(kind["parts"])})
    return size, mtime_ns, (made, str(problem))


def _of(places: Places) -> _Known:
    file = places.cache / "model-kinds.json"
    if file not in _known:
        _known[file] = _Known(file)
    return _known[file]


def described(places: Places, path: Path) -> Judged:
    """What the file is, and what is wrong with it. Its header is read if it is not known yet."""
    known = _of(places)
    try:
        status = path.stat()
    except OSError as error:
        return UNKNOWN, f"{path}: {error.strerror}"
    entry = known.entries.get(str(path))
    if entry is None or entry[:2] != (status.st_size, status.st_mtime_ns):
        entry = (status.st_size, status.st_mtime_ns, _judge(path))
        known.entries[str(path)], known.changed = entry, True
    return entry[2]


def _judge(path: Path) -> Judged:
    try:
        return what_is(path), ""
    except HeaderError as error:
        return UNKNOWN, str(error)
    except OSError as error:
        return UNKNOWN, f"{path}: {error.strerror}"


def keep(places: Places) -> None:
    """Write down what was learnt since the last time."""
    known = _of(places)
    if known.changed:
        known.remember()
