"""One thread per device: it makes the runner and does one job after another.

The heavy imports happen here, after the socket is up, so that a terminal attaches at once and the
first job finds torch loaded. This thread never waits for a reader.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sdtui.library.places import Places

from .hub import Inbox
from .protocol import ErrorInfo, Event, JobState, JobView, ModelChanged, Progress, StepDone
from .runner import Cancelled, JobError, Runner

log = logging.getLogger(__name__)

DEFAULT_RUNNER = "sdtui.backend.worker:GenerateRunner"
RUNNER_HOOK = "SDTUI_RUNNER"
"""Environment variable that puts another runner, `module:Class`, in its place: for tests."""
RunnerFactory = Callable[[], Runner]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended on its device."""

    state: JobState
    error: ErrorInfo | None = None
    poisoned: bool = False
    """The device cannot be used any more in this process (CUDA reported an error)."""


Ended = Callable[["DeviceThread", int, Outcome], None]


class DeviceThread(threading.Thread):
    """Does jobs on one device. What it reports arrives in the asyncio thread, in order."""

    def __init__(self, device: str, factory: RunnerFactory, inbox: Inbox, ended: Ended) -> None:
        super().__init__(name=f"device {device}", daemon=True)
        self.device = device
        self.job: int | None = None
        """The job in work. Set and cleared by the asyncio thread."""
        self.beat_s = time.monotonic()
        """When this device last showed a sign of life."""
        self._factory, self._inbox, self._ended = factory, inbox, ended
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._runner: Runner | None = None
        self._cancelled = threading.Event()

    # ------------------------------------------------------------ called from the asyncio thread

    def submit(self, job: JobView) -> None:
        """Start a job; `ended` is called in the asyncio thread when it is over."""
        assert self.job is None
        self.job = job.job
        self.beat_s = time.monotonic()
        self._cancelled = cancelled = threading.Event()
        if self._runner is None:
            loading = Progress(phase="loading", detail="libraries")
            self._report(StepDone(job=job.job, progress=loading))
        self._tasks.put(lambda: self._work(job, cancelled))

    def cancel(self) -> None:
        """Ask the job in work to end within a step."""
        self._cancelled.set()

    def free(self) -> None:
        """Give the model's memory back, after the job in work."""
        self._tasks.put(self._free)

    def finish(self) -> None:
        """End the thread after what it has been given."""
        self._tasks.put(None)

    # ------------------------------------------------------------ this thread

    def run(self) -> None:
        try:
            self._ready()
        except Exception:
            log.exception("%s is not ready; the first job will try again", self.device)
        while (task := self._tasks.get()) is not None:
            task()

    def _ready(self) -> Runner:
        if self._runner is None:
            started = time.monotonic()
            self._runner = self._factory()
            self.device = self._runner.device
            log.info("%s ready after %.1f s", self.device, time.monotonic() - started)
        return self._runner

    def _report(self, event: Event) -> None:
        self.beat_s = time.monotonic()
        self._inbox.put(event)

    def _work(self, job: JobView, cancelled: threading.Event) -> None:
        outcome = self._outcome(job, cancelled)
        self._inbox.call(lambda: self._ended(self, job.job, outcome))

    def _outcome(self, job: JobView, cancelled: threading.Event) -> Outcome:
        try:
            self._ready().run(job, self._report, cancelled)
        except Cancelled:
            return Outcome("cancelled")
        except JobError as error:
            log.warning("job %d: %s", job.job, error, exc_info=error.__cause__)
            return Outcome("failed", error.info, is_poisoned(error))
        except (Exception, SystemExit) as error:  # a library that calls exit() ends no backend
            log.exception("job %d broke off", job.job)
            return Outcome("failed", _unexpected(error), is_poisoned(error))
        return Outcome("done")

    def _free(self) -> None:
        if self._runner is None or self._runner.model is None:
            return
        try:
            self._runner.free()
        except Exception:
            log.exception("the model could not be freed")
        self._report(ModelChanged(model=self._runner.model))


def is_poisoned(error: BaseException | None) -> bool:
    """Whether CUDA's context is broken: every later call fails, only a new process helps."""
    while error is not None:
        if isinstance(error, RuntimeError) and "CUDA error" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _unexpected(error: BaseException) -> ErrorInfo:
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return ErrorInfo(
        what="This could not be made because of an error in the program",
        why=f"{type(error).__name__}: {first_line}"[:300].rstrip(": "),
        hint="The backend's log has the details",
    )


def default_runner() -> str:
    """`module:Class` of what does the jobs."""
    return os.environ.get(RUNNER_HOOK) or DEFAULT_RUNNER


def runner_factory(spec: str, device: str, places: Places) -> RunnerFactory:
    """A function that imports `module:Class` and calls it with (device, places).

    “auto” is the first GPU, or the CPU; only torch can tell, so it is asked in the device's thread.
    """
    module, _, name = spec.partition(":")

    def make() -> Runner:
        ask = device == "auto" and spec == DEFAULT_RUNNER
        chosen = best_device() if ask else device
        runner: Runner = getattr(importlib.import_module(module), name)(chosen, places)
        return runner

    return make


def best_device() -> str:
    """torch's name of the device to use. Imports torch."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"
