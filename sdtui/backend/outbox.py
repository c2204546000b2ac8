"""What waits to be written to one reader.

Events of which only the newest matters (steps, previews, readings) replace one another and go out
at most ten times a second; everything else is kept in order and never dropped. A reader for whom
too much piles up is given up: it attaches again and gets a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .protocol import Event

LATEST_INTERVAL_S = 0.1
MAX_LINES = 10_000
MAX_BYTES = 8 << 20


class Overflow(Exception):
    """The reader cannot keep up."""


def latest_key(event: Event) -> tuple[str, int | None]:
    """Events with the same key replace one another, if they are latest-wins at all."""
    return type(event).__name__, getattr(event, "job", None)


class Outbox:
    """Lines for one reader, in order of `seq`. Belongs to the asyncio thread."""

    def __init__(
        self, clock: Callable[[], float], max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._clock = clock
        self._max_lines, self._max_bytes = max_lines, max_bytes
        self._lines: list[bytes] = []
        self._bytes = 0
        self._latest: dict[tuple[str, int | None], bytes] = {}
        self._latest_due_s = 0.0
        self.ready = asyncio.Event()
        """Set when something was put in; whoever writes clears it."""

    def put(self, line: bytes) -> None:
        """A line that must arrive. Raises Overflow if too much waits already.

        However long the line: a snapshot goes to whoever reads what came before it.
        """
        if len(self._lines) >= self._max_lines or self._bytes >= self._max_bytes:
            raise Overflow(f"{len(self._lines)} lines, {self._bytes} bytes not yet read")
        # What is older goes first, so that a reader sees `seq` only rise.
        for older in self._latest.values():
            self._append(older)
        self._latest.clear()
        self._append(line)
        self.ready.set()

    def put_latest(self, key: tuple[str, int | None], line: bytes) -> None:
        """A line that replaces the one with the same key, if that has not gone out yet."""
        self._latest.pop(key, None)
        self._latest[key] = line
        self.ready.set()

    def take(self) -> tuple[bytes, float | None]:
        """What may be written now, and in how many seconds there is more (None: not yet known)."""
        now_s = self._clock()
        wait_s: float | None = None
        if self._latest and now_s >= self._latest_due_s:
            for line in self._latest.values():
                self._append(line)
            self._latest.clear()
            self._latest_due_s = now_s + LATEST_INTERVAL_S
        elif self._latest:
            wait_s = self._latest_due_s - now_s
        data = b"".join(self._lines)
        self._lines.clear()
        self._bytes = 0
        return data, wait_s

    @property
    def empty(self) -> bool:
        return not self._lines and not self._latest

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
