"""The seam between the queue and what does the work on a device.

The queue's GPU thread calls `Runner.run` for one job after another. The real runner lives in
`worker.py` (torch); tests put a scripted one in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from .protocol import ErrorInfo, Event, JobView, ModelView

Report = Callable[[Event], None]
"""Hands an event to the backend from any thread; never blocks, fills in `seq` and `time_s`."""


class Cancelled(Exception):
    """The job was cancelled; what is finished stays."""


class JobError(Exception):
    """A job that cannot be done, said for a person. Everything else that escapes is a bug."""

    def __init__(self, what: str, why: str = "", hint: str = "", usage: bool = False) -> None:
        self.info = ErrorInfo(what=what, why=why, hint=hint, code="usage" if usage else "failed")
        super().__init__(str(self.info))


class Runner(Protocol):
    """Does jobs on one device, one at a time, always called from the same thread."""

    device: str
    """torch's name of it: “cpu”, “cuda:0”."""

    def run(self, job: JobView, report: Report, cancelled: threading.Event) -> None:
        """Do the job; report StepDone, PreviewReady, ImageSaved, ModelChanged, Notice on the way.

        Start, end, failure and cancellation are the caller's to report.

        Raises:
            Cancelled: soon (within one model step) after `cancelled` is set.
            JobError: it cannot be done.
        """
        ...

    def free(self) -> None:
        """Give the model's memory back (reports nothing)."""
        ...

    @property
    def model(self) -> ModelView | None:
        """What is loaded now."""
        ...
