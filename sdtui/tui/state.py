"""What the terminal knows of the backend: a snapshot, brought up to date by events. No Textual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sdtui.backend import protocol as p

Link = Literal["starting", "attached", "gone"]
PICTURES_KEPT = 60


class Known(Protocol):
    """What is known of a picture: of the protocol's SavedImage and of the gallery's Picture."""

    path: str
    width: int
    height: int
    seed: int


@dataclass
class AppState:
    """Jobs, queue, model, machine and the latest pictures, as every screen shows them."""

    link: Link = "starting"
    seq: int = 0
    version: int = 0
    """Rises with every change, so that a widget knows whether it has shown this."""
    jobs: dict[int, p.JobView] = field(default_factory=dict)
    waiting: tuple[int, ...] = ()
    paused: bool = False
    model: p.ModelView | None = None
    monitor: p.MonitorReading | None = None
    pictures: list[str] = field(default_factory=list)
    """Paths of the latest pictures, newest first."""
    about: dict[str, str] = field(default_factory=dict)
    """What is known of a picture: size and seed, in words."""

    def load(self, snapshot: p.Snapshot) -> None:
        """Begin again from a snapshot."""
        self.version += 1
        self.link, self.seq = "attached", snapshot.seq
        self.jobs = {job.job: job for job in snapshot.jobs}
        self.waiting = tuple(job.job for job in snapshot.jobs if job.state == "queued")
        self.paused, self.model, self.monitor = snapshot.paused, snapshot.model, snapshot.monitor

    @property
    def running(self) -> p.JobView | None:
        """The job in work; the first one if several devices work."""
        return next((job for job in self.jobs.values() if job.state == "running"), None)

    @property
    def busy(self) -> bool:
        return self.running is not None or bool(self.waiting)

    def apply(self, event: p.Event) -> bool:
        """Take an event in; False if it is older than the snapshot."""
        if event.seq <= self.seq:
            return False
        self.seq, self.version = event.seq, self.version + 1
        match event:
            case p.JobQueued():
                self.jobs[event.job.job] = event.job
            case p.QueueChanged():
                self.waiting, self.paused = event.waiting, event.paused
            case p.JobStarted():
                self._change(event.job, state="running", started_s=event.time_s)
            case p.StepDone():
                self._change(event.job, progress=event.progress)
            case p.PreviewReady():
                self._change(event.job, preview=event.path)
            case p.ImageSaved():
                job = self.jobs.get(event.job)
                if job is not None:
                    self._change(event.job, images=(*job.images, event.image))
                self.add_picture(event.image)
            case p.JobFinished():
                self._end(event.job, "done", event.time_s)
            case p.JobCancelled():
                self._end(event.job, "cancelled", event.time_s)
            case p.JobFailed():
                self._end(event.job, event.state, event.time_s)
                self._change(event.job, error=event.error)
            case p.ModelChanged():
                self.model = event.model
            case p.MonitorRead():
                self.monitor = event.reading
        return True

    def add_picture(self, image: Known) -> None:
        """Put a picture at the head of the latest ones."""
        rest = [path for path in self.pictures if path != image.path]
        self._keep([image.path, *rest], [image])

    def take_gallery(self, images: Sequence[Known]) -> None:
        """The latest pictures as the gallery has them; what is not in it yet is newer."""
        there = {image.path for image in images}
        newer = [path for path in self.pictures if path not in there]
        self._keep([*newer, *(image.path for image in images)], images)

    def add_older(self, images: Sequence[Known]) -> None:
        """Put pictures behind those that are there, newest first."""
        there = set(self.pictures)
        older = [image for image in images if image.path not in there]
        self._keep([*self.pictures, *(image.path for image in older)], older)

    def _keep(self, paths: list[str], images: Sequence[Known]) -> None:
        self.pictures = paths[:PICTURES_KEPT]
        self.about |= {
            image.path: f"{image.width}x{image.height}  seed {image.seed}" for image in images
        }
        self.about = {path: self.about[path] for path in self.pictures if path in self.about}

    def _change(self, number: int, **values: object) -> None:
        job = self.jobs.get(number)
        if job is not None:
            self.jobs[number] = job.model_copy(update=values)

    def _end(self, number: int, state: p.JobState, when_s: float) -> None:
        self._change(number, state=state, ended_s=when_s, preview=None)
