"""The life of a backend process: from the lock to the last line, restarts included."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sdtui.library.gallery import GalleryWriter
from sdtui.library.places import Places

from . import protocol as p
from .core import Backend, Limits
from .device import default_runner, runner_factory
from .monitor import Monitor
from .queue import JobQueue
from .server import Listener

log = logging.getLogger(__name__)

SOCKET_CHECK_S = 2.0
JOIN_S = 5.0

Ending = Literal["end", "restart"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    runner: str = field(default_factory=default_runner)
    devices: tuple[str, ...] = ("auto",)
    limits: Limits = field(default_factory=Limits)


class Service:
    """One backend with its socket and monitor."""

    def __init__(self, places: Places, options: Options) -> None:
        """Raises NewerSchema, sqlite3.Error, OSError."""
        self._places, self._limits = places, options.limits
        _sweep(places.previews)
        self._queue = JobQueue(places.state_db)
        self._gallery = GalleryWriter(places)
        self.backend = Backend(
            places,
            self._queue,
            self._gallery,
            {name: runner_factory(options.runner, name, places) for name in options.devices},
            limits=options.limits,
        )
        self._listener = Listener(places, self.backend)
        self._monitor = Monitor(self.backend.inbox.put)
        self._signals = 0
        self._remarks: list[str] = []
        """For the first one who looks."""
        if self._queue.replaced is not None:
            self._remarks.append(
                f"The queue was damaged; a new one was begun, the old one is {self._queue.replaced}"
            )
        self._ending_since_s = 0.0
        self._socket_checked_s = time.monotonic()
        self._freed = False

    async def run(self) -> Ending:
        """Serve until asked to end, idle for long, or in need of a new process."""
        await self._listener.open()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        # Started by hand in a terminal, it outlives that terminal too.
        loop.add_signal_handler(signal.SIGHUP, lambda: log.info("SIGHUP ignored"))
        self._monitor.start()
        self._gallery.refresh_in_background()
        self.backend.start()
        log.info("ready, process %d, home %s", os.getpid(), self._places.home)
        tick_s = max(0.02, min(1.0, *(value / 4 for value in self._waits())))
        while (ending := await self._tick()) is None:
            await self.backend.wait(tick_s)
        await self._close(ending)
        return ending

    def _waits(self) -> tuple[float, ...]:
        limits = self._limits
        return limits.idle_unload_s, limits.idle_end_s, limits.hang_s, limits.stop_grace_s

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        self.backend.end(f"signal {signal.Signals(number).name}", now=True)

    # ------------------------------------------------------------ once in a while

    async def _tick(self) -> Ending | None:
        self._monitor.wanted = self.backend.hub.watched
        while self._remarks and self.backend.hub.watched:
            self.backend.hub.publish(p.Notice(text=self._remarks.pop(), level="warning"))
        if time.monotonic() - self._socket_checked_s > SOCKET_CHECK_S:
            self._socket_checked_s = time.monotonic()
            await self._listener.keep()
        if self._hung():
            return self._way_out()
        if self.backend.ending is not None:
            return self._ready_to_end()
        self._idle()
        return None

    def _hung(self) -> bool:
        """Whether a device has shown no sign of life for too long; its job is marked."""
        hung = False
        for device in self.backend.devices:
            silent_s = time.monotonic() - device.beat_s
            if device.job is None or silent_s < self._limits.hang_s:
                continue
            hung = True
            log.error("job %d on %s hangs; every thread's stack follows", device.job, device.device)
            faulthandler.dump_traceback()
            self.backend.mark_hung(device.job, f"nothing happened for {_minutes(silent_s)}")
        return hung

    def _ready_to_end(self) -> Ending | None:
        self._ending_since_s = self._ending_since_s or time.monotonic()
        if self.backend.running:
            waited_s = time.monotonic() - self._ending_since_s
            patient = waited_s < self._limits.stop_grace_s and self._signals < 2
            if patient or not self.backend.interrupting:
                return None
            for job in self.backend.running:
                log.warning("job %d does not end; leaving it", job)
                self.backend.mark_interrupted(job)
        return self._way_out()

    def _way_out(self) -> Ending:
        return "restart" if self.backend.restart else "end"

    def _idle(self) -> None:
        backend = self.backend
        if backend.busy:
            self._freed = False
            return
        idle_s = time.monotonic() - backend.idle_since_s
        if idle_s > self._limits.idle_unload_s and backend.model is not None and not self._freed:
            log.info("idle for %s: freeing the model", _minutes(idle_s))
            self._freed = True
            backend.free_model()
        # Somebody who is attached would lose the backend under the fingers.
        if idle_s > self._limits.idle_end_s and not self._listener.connected:
            backend.end(f"idle for {_minutes(idle_s)}", now=False)

    # ------------------------------------------------------------ the end

    async def _close(self, ending: Ending) -> None:
        why = self.backend.ending or ""
        log.info("ending: %s", why)
        if ending == "restart":
            why = f"{why}; it restarts itself"
        self._monitor.stop()
        self.backend.hub.publish(p.BackendStopping(why=why))
        await self._listener.close()
        for device in self.backend.devices:
            if device.job is None:
                device.finish()
        deadline = time.monotonic() + JOIN_S
        for device in self.backend.devices:
            if device.job is None:
                device.join(max(0.0, deadline - time.monotonic()))
        self._gallery.close()
        self._queue.close()


def _sweep(previews: Path) -> None:
    """Remove what a killed backend left half-made; nobody looks at it any more."""
    try:
        for file in previews.iterdir():
            file.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("old previews could not be removed: %s", error)


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
