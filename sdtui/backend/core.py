"""The backend without its socket: the queue, the devices, and what everybody is told about them.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sdtui import __version__
from sdtui.library.gallery import Gallery
from sdtui.library.places import Places
from sdtui.params.base import ParamError, build
from sdtui.params.generate import GenerateParams

from . import protocol as p
from .device import DeviceThread, Outcome, RunnerFactory
from .hub import Hub, Inbox
from .queue import JobQueue, QueueError

log = logging.getLogger(__name__)

ENDED_SHOWN = 50
IMAGES_SHOWN = 64
TITLE_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the backend waits for what, in seconds."""

    idle_unload_s: float = 600.0
    idle_end_s: float = 3600.0
    hang_s: float = 1800.0
    """A step, or loading a model, may take this long: generous, for a slow CPU or network disk."""
    stop_grace_s: float = 20.0


class Backend:
    """Queue, devices and the state that clients see."""

    def __init__(
        self,
        places: Places,
        queue: JobQueue,
        gallery: Gallery,
        runners: dict[str, RunnerFactory],
        *,
        limits: Limits = Limits(),
        resume: bool = True,
    ) -> None:
        """`runners`: one per device name. `resume=False` leaves the jobs that wait from earlier."""
        self.places, self.queue, self.gallery, self.limits = places, queue, gallery, limits
        self.hub = Hub()
        self.inbox = Inbox(asyncio.get_running_loop(), self._on_event)
        self.started_s = time.time()
        self.idle_since_s = time.monotonic()
        self.model: p.ModelView | None = None
        self.reading: p.MonitorReading | None = None
        self.ending: str | None = None
        """Why no further job is started; None while the backend goes on."""
        self.interrupting = False
        self._attention = asyncio.Event()
        self.poisoned = ""
        """Why this process must be replaced by a new one."""
        self.devices = [
            DeviceThread(name, make, self.inbox, self._on_ended) for name, make in runners.items()
        ]
        for job in queue.recover(self.started_s):
            log.warning("job %d was being made when the backend before this one ended", job)
        self._jobs = {job.job: job for job in queue.ended(ENDED_SHOWN)[::-1] + queue.unfinished()}
        self._held = frozenset() if resume else frozenset(queue.waiting())

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
    def busy(self) -> bool:
        """Whether something is made now or will be, without anybody's doing."""
        return bool(self.running or (self._next() is not None and not self.queue.paused))

    def job(self, number: int) -> p.JobView:
        """Raises QueueError if there is no such job."""
        return self._jobs.get(number) or self.queue.get(number)

    def snapshot(self) -> p.Snapshot:
        running = self.running
        waiting = self.queue.waiting()
        current = {*running, *waiting}
        ended = [job for number, job in self._jobs.items() if number not in current]
        ended.sort(key=lambda job: (job.ended_s or 0.0, job.job), reverse=True)
        shown = [self.job(number) for number in (*running, *waiting)] + ended[:ENDED_SHOWN]
        return p.Snapshot(
            seq=self.hub.seq,
            pid=os.getpid(),
            version=__version__,
            started_s=self.started_s,
            devices=tuple(device.device for device in self.devices),
            paused=self.queue.paused,
            model=self.model,
            jobs=tuple(
                job.model_copy(update={"images": job.images[-IMAGES_SHOWN:]}) for job in shown
            ),
            monitor=self.reading,
            idle_unload_s=self.limits.idle_unload_s,
            idle_end_s=self.limits.idle_end_s,
        )

    # ------------------------------------------------------------ commands

    def handle(self, command: p.Command) -> p.Reply:
        """Do what a client asks (all but Hello and Subscribe, which concern its connection)."""
        if not isinstance(command, p.GetStatus):
            self.idle_since_s = time.monotonic()
        try:
            return self._commands[type(command)](self, command)
        except (QueueError, ParamError) as error:
            return p.Refused(error=p.ErrorInfo(what=str(error), code="usage"))
        except sqlite3.Error as error:
            log.exception("the queue could not be written")
            return p.Refused(
                error=p.ErrorInfo(
                    what=f"The queue {self.places.state_db} could not be written",
                    why=str(error),
                    hint="Is the disk full? Free some space and try again",
                )
            )

    def _enqueue(self, command: p.Enqueue) -> p.Reply:
        # Everything in force is stored, so that a job stays what it was when defaults change.
        params = build(GenerateParams, command.params)
        return self._add(params.model_dump())

    def _retry(self, command: p.Retry) -> p.Reply:
        old = self.job(command.job)
        if old.state not in p.ENDED:
            raise QueueError(f"job {old.job} has not ended, so it cannot be retried")
        return self._add(old.params)

    def _add(self, params: dict[str, object]) -> p.Reply:
        if self.ending is not None:
            raise QueueError(f"the backend is about to end ({self.ending}); try again in a moment")
        title = " ".join(str(params.get("prompt", "")).split())
        title = title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"
        job = self.queue.add(params, title or "(no prompt)", time.time())
        self._jobs[job.job] = job
        self.hub.publish(p.JobQueued(job=job))
        self._queue_changed()
        self._dispatch_soon()
        return p.Queued(job=job.job)

    def _cancel(self, command: p.Cancel) -> p.Reply:
        job = self.job(command.job)
        if job.state in p.ENDED:
            raise QueueError(f"job {job.job} has already ended ({job.state})")
        self._cancel_jobs([job.job])
        return p.Done()

    def _cancel_all(self, command: p.CancelAll) -> p.Reply:
        self._cancel_jobs([*self.queue.waiting(), *self.running])
        return p.Done()

    def _cancel_jobs(self, jobs: Sequence[int]) -> None:
        waited = False
        for number in jobs:
            device = self._device_of(number)
            if device is not None:
                device.cancel()
            else:
                waited = True
                self._end(number, "cancelled", None)
        if waited:
            self._queue_changed()

    def _move(self, command: p.Move) -> p.Reply:
        self.queue.move(command.job, command.by)
        self._queue_changed()
        return p.Done()

    def _pause(self, command: p.Pause | p.Resume) -> p.Reply:
        self.queue.paused = isinstance(command, p.Pause)
        self._queue_changed()
        self._dispatch_soon()
        return p.Done()

    def _free_model(self, command: p.FreeModel) -> p.Reply:
        self.free_model()
        return p.Done()

    def _status(self, command: p.GetStatus) -> p.Reply:
        return self.snapshot()

    def _stop(self, command: p.Stop) -> p.Reply:
        self.end("asked to stop", now=command.when == "now")
        return p.Done()

    _commands: dict[type[p.Command], Callable[..., p.Reply]] = {  # noqa: RUF012 - never changed
        p.Enqueue: _enqueue,
        p.Retry: _retry,
        p.Cancel: _cancel,
        p.CancelAll: _cancel_all,
        p.Move: _move,
        p.Pause: _pause,
        p.Resume: _pause,
        p.FreeModel: _free_model,
        p.GetStatus: _status,
        p.Stop: _stop,
    }

    def free_model(self) -> None:
        """Give the model's memory back as soon as the job in work is over."""
        for device in self.devices:
            device.free()

    def end(self, why: str, *, now: bool) -> None:
        """Start no further job; with `now`, break off the running one, which is to be retried."""
        self.ending = self.ending or why
        if now:
            self.interrupting = True
            for device in self.devices:
                device.cancel()
        self._attention.set()

    def touch(self) -> None:
        """Somebody was here: the idle time begins again."""
        self.idle_since_s = time.monotonic()
        self._attention.set()

    async def wait(self, seconds: float) -> None:
        """Until something ends or is about to, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._attention.wait(), seconds)
        self._attention.clear()

    # ------------------------------------------------------------ the queue goes on

    def _next(self) -> int | None:
        return next((job for job in self.queue.waiting() if job not in self._held), None)

    def _dispatch_soon(self) -> None:
        """After the reply is on its way."""
        asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        while self.ending is None and not self.queue.paused:
            device = next((device for device in self.devices if device.job is None), None)
            number = self._next()
            if device is None or number is None:
                return
            self._begin(device, number)

    def _begin(self, device: DeviceThread, number: int) -> None:
        now_s = time.time()
        self.queue.start(number, now_s)
        job = self._update(number, state="running", started_s=now_s)
        self.hub.publish(p.JobStarted(job=number))
        self._queue_changed()
        try:
            build(GenerateParams, job.params)
        except ParamError as error:  # stored by an older sdtui that knew other parameters
            info = p.ErrorInfo(what=str(error), hint="Make it again from the form", code="usage")
            self._end(number, "failed", info)
            return
        device.submit(job)

    def _on_ended(self, device: DeviceThread, number: int, outcome: Outcome) -> None:
        device.job = None
        if outcome.state == "cancelled" and self.interrupting:
            self.mark_interrupted(number)
        else:
            self._end(number, outcome.state, outcome.error)
        if outcome.poisoned:
            self.poisoned = "the graphics card reported an error that only a new process can clear"
            self.end(self.poisoned, now=True)
        self._attention.set()
        self._dispatch()

    def _end(self, number: int, state: p.JobState, error: p.ErrorInfo | None) -> None:
        now_s = time.time()
        self.idle_since_s = time.monotonic()
        try:
            self.queue.end(number, state, now_s, error)
        except sqlite3.Error as problem:
            self._unwritten(problem)
        job = self._update(number, state=state, ended_s=now_s, error=error, preview=None)
        if state == "done":
            self.hub.publish(p.JobFinished(job=number, seconds=now_s - (job.started_s or now_s)))
        elif state == "cancelled":
            self.hub.publish(p.JobCancelled(job=number))
        elif state in ("failed", "interrupted"):
            self.hub.publish(
                p.JobFailed(job=number, error=error or p.ErrorInfo(what="failed"), state=state)
            )
        self._forget_old()

    def mark_broken(self, number: int, error: p.ErrorInfo) -> None:
        """End a job whose device does not answer any more."""
        self._end(number, "failed", error)

    def mark_interrupted(self, number: int) -> None:
        """End a job because the backend ends."""
        error = p.ErrorInfo(
            what=f"The backend ended while this was being made ({self.ending})",
            hint="Finished pictures are kept; retry makes the job again",
        )
        self._end(number, "interrupted", error)

    # ------------------------------------------------------------ events from the threads

    def _on_event(self, event: p.Event) -> None:
        number = getattr(event, "job", None)
        if number is not None and number not in self.running:
            log.debug("%r came after its job", event)
            return
        if isinstance(event, p.StepDone):
            self._update(event.job, progress=event.progress)
        elif isinstance(event, p.PreviewReady):
            self._update(event.job, preview=event.path)
        elif isinstance(event, p.ImageSaved):
            self._on_saved(event)
        elif isinstance(event, p.ModelChanged):
            self.model = event.model
        elif isinstance(event, p.MonitorRead):
            self.reading = event.reading
        elif isinstance(event, p.Notice):
            log.info("notice: %s", event.text)
        self.hub.publish(event)

    def _on_saved(self, event: p.ImageSaved) -> None:
        try:
            self.queue.add_image(event.job, event.image)
            self.gallery.add(event.image, event.job, time.time())
        except sqlite3.Error as problem:
            self._unwritten(problem)
        job = self._jobs[event.job]
        images = (*job.images, event.image)
        progress = job.progress.model_copy(update={"image": len(images)})
        self._update(event.job, images=images, progress=progress)

    def _unwritten(self, problem: sqlite3.Error) -> None:
        """The picture itself is on the disk; say that the books are behind and go on."""
        log.error("a database could not be written", exc_info=problem)
        text = f"The queue or the gallery could not be written ({problem}). Is the disk full?"
        self.hub.publish(p.Notice(text=text, level="error"))

    # ------------------------------------------------------------ small helpers

    def _update(self, number: int, **changes: object) -> p.JobView:
        job = self.job(number).model_copy(update=changes)
        self._jobs[number] = job
        return job

    def _device_of(self, number: int) -> DeviceThread | None:
        return next((device for device in self.devices if device.job == number), None)

    def _queue_changed(self) -> None:
        self.hub.publish(p.QueueChanged(waiting=self.queue.waiting(), paused=self.queue.paused))

    def _forget_old(self) -> None:
        """Ended jobs beyond what a snapshot shows stay in the database only."""
        ended = sorted(
            (job for job in self._jobs.values() if job.state in p.ENDED),
            key=lambda job: job.ended_s or 0.0,
        )
        for job in ended[: max(0, len(ended) - ENDED_SHOWN)]:
            del self._jobs[job.job]
