"""The backend without its socket: jobs go to devices, and everybody is told about it.

All of it belongs to one asyncio thread; device and monitor threads hand over events by the `Inbox`.
An event changes the state first and is published then, so a snapshot with seq n contains every
event up to n. The same class runs in-process for `sdtui generate --local`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sdtui import __version__
from sdtui.library import in_use
from sdtui.library.gallery import GalleryWriter
from sdtui.library.places import Places
from sdtui.params.base import ParamError, build
from sdtui.params.generate import GenerateParams

from . import protocol as p
from .device import DeviceThread, Outcome, RunnerFactory
from .hub import Hub, Inbox
from .jobs import Jobs
from .queue import JobQueue, QueueError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the backend waits for what, in seconds."""

    idle_unload_s: float = 600.0
    idle_end_s: float = 3600.0
    hang_s: float = 1800.0
    """A step, or loading a model, may take this long: generous, for a slow CPU or network disk."""
    stop_grace_s: float = 20.0


class Backend:
    """Jobs, devices and the state that clients see."""

    def __init__(
        self,
        places: Places,
        queue: JobQueue,
        gallery: GalleryWriter,
        runners: Mapping[str, RunnerFactory],
        *,
        limits: Limits = Limits(),
        resume: bool = True,
    ) -> None:
        """`runners`: one per device name. `resume=False` leaves the jobs that wait from earlier."""
        self.places, self.limits = places, limits
        self.hub = Hub()
        self.jobs = Jobs(queue, gallery, self.hub, in_use.overwritten(places))
        self.inbox = Inbox(asyncio.get_running_loop(), self._on_event)
        self.started_s = time.time()
        self.idle_since_s = time.monotonic()
        self.model: p.ModelView | None = None
        self.reading: p.MonitorReading | None = None
        self.ending: str | None = None
        """Why no further job is started; None while the backend goes on."""
        self.interrupting = False
        self.restart = False
        """This process must be replaced by a new one."""
        self.devices = [
            DeviceThread(name, make, self.inbox, self._on_ended) for name, make in runners.items()
        ]
        self._resume = resume
        self._held = frozenset() if resume else frozenset(queue.waiting())
        self._unwanted: set[int] = set()
        """Running jobs that somebody has cancelled."""
        self._attention = asyncio.Event()

    def start(self) -> None:
        """Start the devices and go on with the queue."""
        for device in self.devices:
            device.start()
        self._dispatch()

    # ------------------------------------------------------------ what clients see

    @property
    def running(self) -> list[int]:
        return [device.job for device in self.devices if device.job is not None]

    @property
    def paused(self) -> bool:
        return self._resume and self.jobs.queue.paused

    @property
    def busy(self) -> bool:
        """Whether something is made now or will be, without anybody's doing."""
        return bool(self.running) or (self._next() is not None and not self.paused)

    def snapshot(self) -> p.Snapshot:
        return p.Snapshot(
            seq=self.hub.seq,
            pid=os.getpid(),
            version=__version__,
            started_s=self.started_s,
            devices=tuple(device.device for device in self.devices),
            paused=self.paused,
            model=self.model,
            jobs=self.jobs.shown(self.running),
            monitor=self.reading,
            idle_unload_s=self.limits.idle_unload_s,
            idle_end_s=self.limits.idle_end_s,
        )

    async def wait(self, seconds: float) -> None:
        """Until something ends or is about to, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._attention.wait(), seconds)
        self._attention.clear()

    def touch(self) -> None:
        """Somebody was here: the idle time begins again."""
        self.idle_since_s = time.monotonic()
        self._attention.set()

    # ------------------------------------------------------------ what clients ask (commands.py)

    def enqueue(self, values: dict[str, Any]) -> int:
        """Put a job at the end of the queue. Raises ParamError, QueueError, sqlite3.Error."""
        # Everything in force is stored, so that a job stays what it was when defaults change.
        return self._add(build(GenerateParams, values).model_dump())

    def retry(self, number: int) -> int:
        """Queue an ended job's settings again. Raises QueueError, sqlite3.Error."""
        old = self.jobs.get(number)
        if old.state not in p.ENDED:
            raise QueueError(f"job {number} has not ended, so it cannot be retried")
        return self._add(old.params)

    def _add(self, params: dict[str, Any]) -> int:
        if self.ending is not None and not self.restart:
            raise QueueError(f"the backend is about to end ({self.ending}); try again in a moment")
        number = self.jobs.add(params)
        self._queue_changed()
        self._dispatch_soon()
        return number

    def cancel(self, number: int) -> None:
        """End a job: a running one within a step, a waiting one at once. Raises QueueError."""
        job = self.jobs.get(number)
        if job.state in p.ENDED:
            raise QueueError(f"job {number} has already ended ({job.state})")
        self._cancel([number])

    def cancel_all(self) -> None:
        """Cancel everything; the waiting ones first, so that none of them starts in between."""
        self._cancel([*self.jobs.waiting(), *self.running])

    def _cancel(self, numbers: Iterable[int]) -> None:
        waited = False
        for number in numbers:
            device = next((device for device in self.devices if device.job == number), None)
            if device is not None:
                self._unwanted.add(number)
                device.cancel()
            else:
                waited = True
                self.jobs.end(number, "cancelled")
        if waited:
            self._queue_changed()

    def move(self, number: int, by: int) -> None:
        """Move a waiting job. Raises QueueError, sqlite3.Error."""
        self.jobs.queue.move(number, by)
        self._queue_changed()

    def pause(self, paused: bool) -> None:
        """Start no further job, or go on. Remembered over the end of the process."""
        self.jobs.queue.paused = paused
        self._queue_changed()
        self._dispatch_soon()

    def free_model(self) -> None:
        """Give the model's memory back as soon as the job in work is over."""
        for device in self.devices:
            device.free()

    def end(self, why: str, *, now: bool) -> None:
        """Start no further job; with `now`, break off the running one, which can be retried."""
        self.ending = self.ending or why
        if now:
            self.interrupting = True
            for device in self.devices:
                device.cancel()
        self._attention.set()

    # ------------------------------------------------------------ the queue goes on

    def _next(self) -> int | None:
        return next((job for job in self.jobs.waiting() if job not in self._held), None)

    def _dispatch_soon(self) -> None:
        """After the reply is on its way."""
        asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        while self.ending is None and not self.paused:
            device = next((device for device in self.devices if device.job is None), None)
            number = self._next()
            if device is None or number is None:
                return
            try:
                self._begin(device, number)
            except sqlite3.Error as error:  # nothing is started that cannot be written down
                self.hub.publish(p.Notice(text=f"The queue stands still: {error}", level="error"))
                log.exception("job %d could not be started", number)
                return

    def _begin(self, device: DeviceThread, number: int) -> None:
        job = self.jobs.start(number)
        self._queue_changed()
        try:
            build(GenerateParams, job.params)
        except ParamError as error:  # stored by an older sdtui that knew other parameters
            info = p.ErrorInfo(what=str(error), hint="Make it again from the form", code="usage")
            self.jobs.end(number, "failed", info)
            return
        device.submit(job)

    def _on_ended(self, device: DeviceThread, number: int, outcome: Outcome) -> None:
        device.job = None
        cancelled_by_us = self.interrupting and number not in self._unwanted
        self._unwanted.discard(number)
        if outcome.state == "cancelled" and cancelled_by_us:
            self.mark_interrupted(number)
        else:
            self.jobs.end(number, outcome.state, outcome.error)
        if outcome.poisoned:
            self.restart = self.ending is None
            self.end("the GPU reported an error that only a new process can clear", now=True)
        self.touch()
        self._dispatch()

    def mark_hung(self, number: int, why: str) -> None:
        """End a job whose device does not answer any more; this process is of no more use."""
        hint = "The queue goes on; retry makes the job again"
        error = p.ErrorInfo(what=f"{why}, so it was given up", hint=hint)
        self.jobs.end(number, "failed", error)
        self.restart = self.ending is None
        self.ending = self.ending or why

    def mark_interrupted(self, number: int) -> None:
        """End a job because the backend ends."""
        error = p.ErrorInfo(
            what=f"The backend ended while this was being made ({self.ending})",
            hint="Finished pictures are kept; retry makes the job again",
        )
        self.jobs.end(number, "interrupted", error)

    # ------------------------------------------------------------ events from the threads

    def _on_event(self, event: p.Event) -> None:
        number = getattr(event, "job", None)
        if number is not None and number not in self.running:
            log.debug("%r came after its job", event)
            return
        match event:
            case p.StepDone():
                self.jobs.step(event)
            case p.PreviewReady():
                self.jobs.preview(event)
            case p.ImageSaved():
                self.jobs.saved(event)
            case p.ModelChanged():
                self.model = event.model
            case p.MonitorRead():
                self.reading = event.reading
            case p.Notice():
                log.info("notice: %.300s", event.text)
        self.hub.publish(event)

    def _queue_changed(self) -> None:
        self.hub.publish(p.QueueChanged(waiting=self.jobs.waiting(), paused=self.paused))
