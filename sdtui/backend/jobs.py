"""The jobs: on disk, in memory, and as events. Whatever changes a job goes through here.

First the disk, then the view that snapshots show, then the event. asyncio thread only.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

from sdtui.library.gallery import GalleryWriter

from . import protocol as p
from .hub import Hub
from .queue import BROKEN_OFF, JobQueue

log = logging.getLogger(__name__)

ENDED_SHOWN = 50
IMAGES_SHOWN = 64
INFOTEXT_SHOWN = 2 << 20
"""Characters of infotext in a snapshot, over all jobs."""
TITLE_LENGTH = 80


def _broken_off(overwritten: Path | None) -> p.ErrorInfo:
    if overwritten is None:
        return BROKEN_OFF
    return p.ErrorInfo(
        what="The backend died while this was being made",
        why=f"{overwritten} was overwritten while the model in it was in use",
        hint="Finished pictures are kept; retry makes the job again. Rename new files into place",
    )


class Jobs:
    """Every job that a client may see, and the database behind them."""

    def __init__(
        self, queue: JobQueue, gallery: GalleryWriter, hub: Hub, overwritten: Path | None = None
    ) -> None:
        """`overwritten`: a model file that was written over under the backend before this one."""
        self.queue = queue
        self._gallery, self._hub = gallery, hub
        for job in queue.recover(time.time(), _broken_off(overwritten)):
            log.warning("job %d was being made when the backend before this one ended", job)
        self._views = {job.job: job for job in (*queue.ended(ENDED_SHOWN), *queue.unfinished())}

    def get(self, number: int) -> p.JobView:
        """Raises QueueError if there is no such job."""
        return self._views.get(number) or self.queue.get(number)

    def waiting(self) -> tuple[int, ...]:
        return self.queue.waiting()

    def shown(self, running: list[int]) -> tuple[p.JobView, ...]:
        """What a snapshot carries: running, waiting in order, the latest ended ones."""
        current = [self.get(number) for number in (*running, *self.waiting())]
        room = INFOTEXT_SHOWN
        shown = []
        for job in (*current, *self._ended()[:ENDED_SHOWN]):
            images = job.images[-IMAGES_SHOWN:] if room > 0 else ()
            room -= sum(len(image.infotext) for image in images)
            shown.append(job.model_copy(update={"images": images}))
        return tuple(shown)

    # ------------------------------------------------------------ from queued to ended

    def add(self, params: dict[str, Any]) -> int:
        """Put a job at the end of the queue. Raises sqlite3.Error."""
        title = " ".join(str(params.get("prompt", "")).split())
        title = title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"
        job = self.queue.add(params, title or "(no prompt)", time.time())
        self._views[job.job] = job
        self._hub.publish(p.JobQueued(job=job))
        return job.job

    def start(self, number: int) -> p.JobView:
        """Raises sqlite3.Error."""
        now_s = time.time()
        self.queue.start(number, now_s)
        job = self._update(number, state="running", started_s=now_s)
        self._hub.publish(p.JobStarted(job=number))
        return job

    def end(self, number: int, state: p.JobState, error: p.ErrorInfo | None = None) -> None:
        now_s = time.time()
        try:
            self.queue.end(number, state, now_s, error)
        except sqlite3.Error as problem:
            self._unwritten(problem)
        job = self._update(number, state=state, ended_s=now_s, error=error, preview=None)
        if state == "done":
            seconds = now_s - (job.started_s or now_s)
            self._hub.publish(p.JobFinished(job=number, seconds=seconds))
        elif state == "cancelled":
            self._hub.publish(p.JobCancelled(job=number))
        else:
            assert state in ("failed", "interrupted") and error is not None, state
            self._hub.publish(p.JobFailed(job=number, error=error, state=state))
        for old in self._ended()[ENDED_SHOWN:]:
            del self._views[old.job]  # it stays in the database

    # ------------------------------------------------------------ what a running job reports

    def step(self, event: p.StepDone) -> None:
        self._update(event.job, progress=event.progress)

    def preview(self, event: p.PreviewReady) -> None:
        self._update(event.job, preview=event.path)

    def saved(self, event: p.ImageSaved) -> None:
        try:
            self.queue.add_image(event.job, event.image)
        except sqlite3.Error as problem:
            self._unwritten(problem)
        try:
            self._gallery.add(event.image, event.job, time.time())
        except Exception:  # the index can be made again; the picture must be announced
            log.exception("%s is not in the index of pictures", event.image.path)
        job = self.get(event.job)
        images = (*job.images, event.image)
        progress = job.progress.model_copy(update={"image": len(images)})
        self._update(event.job, images=images, progress=progress)

    # ------------------------------------------------------------ small helpers

    def _unwritten(self, problem: sqlite3.Error) -> None:
        """The picture itself is on the disk; say that the books are behind and go on."""
        log.error("a database could not be written", exc_info=problem)
        text = f"The queue could not be written ({problem}). Is the disk full?"
        self._hub.publish(p.Notice(text=text, level="error"))

    def _update(self, number: int, **changes: object) -> p.JobView:
        job = self.get(number).model_copy(update=changes)
        self._views[number] = job
        return job

    def _ended(self) -> list[p.JobView]:
        """The ended jobs that are still in memory, newest first."""
        ended = [job for job in self._views.values() if job.state in p.ENDED]
        return sorted(ended, key=lambda job: (job.ended_s or 0.0, job.job), reverse=True)
