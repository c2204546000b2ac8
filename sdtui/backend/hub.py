"""From the working threads to every reader: order, sequence numbers, one wake-up at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from .outbox import Outbox, Overflow, latest_key
from .protocol import BackendLine, Event, encode

log = logging.getLogger(__name__)

CHUNK = 100
"""Events handled before the socket gets its turn."""

Call = Callable[[], None]


class Inbox:
    """What other threads hand to the asyncio thread. Putting never blocks and never waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: Callable[[Event], None]) -> None:
        self._loop, self._handle = loop, handle
        self._lock = threading.Lock()
        self._items: dict[Any, Event | Call] = {}
        self._count = 0
        self._wake_pending = False

    def put(self, event: Event) -> None:
        """Hand over an event; a latest-wins one replaces an older one not yet handled."""
        with self._lock:
            self._count += 1
            key = latest_key(event) if event.latest_wins else self._count
            self._items.pop(key, None)
            self._items[key] = event
        self._wake()

    def call(self, function: Call) -> None:
        """Run `function` in the asyncio thread after everything put before."""
        with self._lock:
            self._count += 1
            self._items[self._count] = function
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._wake_pending:
                return
            self._wake_pending = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop is closed: the backend is ending, nobody listens
            log.debug("an event came after the end")

    def _drain(self) -> None:
        with self._lock:
            keys = list(self._items)[:CHUNK]
            batch = [self._items.pop(key) for key in keys]
            more = self._wake_pending = bool(self._items)
        if more:
            self._loop.call_soon(self._drain)
        for item in batch:
            try:
                self._handle(item) if isinstance(item, Event) else item()
            except Exception:
                # One bad event must not take the ones behind it along.
                log.exception("could not handle %r", item)


class Hub:
    """Numbers events and puts them into the outbox of each subscriber. asyncio thread only."""

    def __init__(self) -> None:
        self.seq = 0
        self._readers: dict[Outbox, Callable[[str], None]] = {}
        self.listeners: list[Callable[[Event], None]] = []
        """Called with every event, in this thread: for use without a socket."""

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return bool(self._readers or self.listeners)

    def subscribe(self, outbox: Outbox, drop: Callable[[str], None]) -> None:
        """Deliver every later event; `drop(why)` is called if the reader cannot keep up."""
        self._readers[outbox] = drop

    def unsubscribe(self, outbox: Outbox) -> None:
        self._readers.pop(outbox, None)

    def publish(self, event: Event) -> Event:
        """Give the event its number and time and deliver it; the event as delivered."""
        self.seq += 1
        event = event.model_copy(update={"seq": self.seq, "time_s": time.time()})
        for listener in self.listeners:
            listener(event)
        if not self._readers:
            return event
        line = encode(BackendLine(event=event))
        for outbox, drop in list(self._readers.items()):
            try:
                if event.latest_wins:
                    outbox.put_latest(latest_key(event), line)
                else:
                    outbox.put(line)
            except Overflow as error:
                self.unsubscribe(outbox)
                drop(str(error))
        return event
