"""The backend's log: everything it says, its libraries say, and the C code below them says.

Also what a client shows of it when the backend is gone. Importing this loads only the standard
library.
"""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 2_000_000
KEPT = 3
TAIL_BYTES = 64_000


class _OwnsOutput(RotatingFileHandler):
    """Rotates by size and keeps file descriptors 1 and 2 on the newest file."""

    def doRollover(self) -> None:
        super().doRollover()
        self.take_output()

    def take_output(self) -> None:
        if self.stream is not None:
            for descriptor in (1, 2):
                os.dup2(self.stream.fileno(), descriptor)


def log_to(path: Path) -> None:
    """Send logging, warnings, stdout and stderr to `path`. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _OwnsOutput(path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
    handler.take_output()
    pattern = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=pattern, handlers=[handler])
    logging.captureWarnings(True)


def size_of(path: Path) -> int:
    """Bytes in the log now; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def tail(path: Path, lines: int, since: int = 0) -> list[str]:
    """The last lines of the log, at most, from byte `since` on; [] if it cannot be read.

    Control characters are taken out: what a library printed must not reach a terminal.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(since if since <= size else 0, size - TAIL_BYTES)
            file.seek(begin)
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    found = [_plain(line) for line in text.splitlines()]
    return [line for line in found if line][-lines:]


def _plain(line: str) -> str:
    line = line.expandtabs(4).rstrip()
    return "".join(char if char.isprintable() else "·" for char in line)
