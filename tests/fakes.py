"""A runner that follows a script instead of drawing, to test the backend around it without torch.

The script is the job's prompt, words as `key=value`:

    steps=30 step_s=0.05        so many steps, each so long (default 3 steps, no pause)
    load_s=1                    loading takes so long (only when no model is loaded)
    fail=what                   a JobError after the steps
    crash=text                  a RuntimeError(text) after the steps, e.g. crash=CUDA_error
    hang=1                      after the steps, does not return and does not heed a cancel
    deaf=1                      does not heed a cancel until the steps are over
    notices=100 notice_bytes=10 so many remarks of so many bytes (notice_s=0.1 between them)
    previews=1                  a preview at every step
    wait=PATH                   after the steps, wait until that file exists

One picture (a small file) is written per `batch_size * batch_count` after the steps of its batch.
Use: `SDTUI_RUNNER=tests.fakes:ScriptedRunner` or `--runner tests.fakes:ScriptedRunner`, with the
repository in PYTHONPATH.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from sdtui.backend.protocol import (
    ImageSaved,
    JobView,
    ModelChanged,
    ModelView,
    Notice,
    PreviewReady,
    Progress,
    SavedImage,
    StepDone,
)
from sdtui.backend.runner import Cancelled, JobError, Report
from sdtui.library.atomic import create_bytes, replace_quickly
from sdtui.library.places import Places

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


class ScriptedRunner:
    """Does what the prompt says."""

    def __init__(self, device: str, places: Places) -> None:
        self.device = "cpu" if device == "auto" else device
        self._places = places
        self._model: ModelView | None = None

    @property
    def model(self) -> ModelView | None:
        return self._model

    def free(self) -> None:
        self._model = None

    def run(self, job: JobView, report: Report, cancelled: threading.Event) -> None:
        words = dict(
            word.split("=", 1) for word in str(job.params["prompt"]).split() if "=" in word
        )
        self._load(words, job, report, cancelled)
        for number in range(int(words.get("notices", 0))):
            text = f"{number} ".ljust(int(words.get("notice_bytes", 0)), "x")
            report(Notice(text=text))
            _pause(float(words.get("notice_s", 0)), cancelled)
        images = job.params["batch_size"] * job.params["batch_count"]
        for image in range(images):
            self._steps(words, job, report, cancelled, image, images)
            self._trouble(words, cancelled)
            self._save(job, report, image, images)

    def _load(
        self, words: dict[str, str], job: JobView, report: Report, cancelled: threading.Event
    ) -> None:
        if self._model is None:
            report(StepDone(job=job.job, progress=Progress(phase="loading")))
            _pause(float(words.get("load_s", 0)), cancelled)
            self._model = ModelView(
                name="demo", path="/nowhere", family="sd15", device=self.device, dtype="float32"
            )
            report(ModelChanged(model=self._model))

    def _steps(
        self,
        words: dict[str, str],
        job: JobView,
        report: Report,
        cancelled: threading.Event,
        image: int,
        images: int,
    ) -> None:
        steps = int(words.get("steps", 3))
        heed = threading.Event() if "deaf" in words else cancelled
        for step in range(1, steps + 1):
            _pause(float(words.get("step_s", 0)), heed)
            progress = Progress(
                phase="sampling", step=step, steps=steps, image=image, images=images
            )
            report(StepDone(job=job.job, progress=progress))
            if "previews" in words:
                path = self._places.previews / f"{job.job}.png"
                replace_quickly(path, PIXEL)
                report(PreviewReady(job=job.job, path=str(path), step=step, width=1, height=1))

    def _trouble(self, words: dict[str, str], cancelled: threading.Event) -> None:
        if "fail" in words:
            raise JobError(words["fail"].replace("_", " "), hint="Try another script")
        if "crash" in words:
            raise RuntimeError(words["crash"].replace("_", " "))
        if "hang" in words:
            threading.Event().wait()
        while "wait" in words and not Path(words["wait"]).exists():
            _pause(0.01, cancelled)

    def _save(self, job: JobView, report: Report, image: int, images: int) -> None:
        folder = self._places.outputs
        path = create_bytes(lambda number: folder / f"{number:05d}-{job.job}.png", PIXEL)
        seed = max(0, int(job.params["seed"])) + image
        infotext = f"{job.params['prompt']}\nSteps: 3, Sampler: Euler, Seed: {seed}, Size: 1x1"
        saved = SavedImage(path=str(path), seed=seed, width=1, height=1, infotext=infotext)
        report(ImageSaved(job=job.job, image=saved))


def _pause(seconds: float, cancelled: threading.Event) -> None:
    """Raises Cancelled as soon as the job is cancelled."""
    deadline = time.monotonic() + seconds
    while not cancelled.is_set():
        left = deadline - time.monotonic()
        if left <= 0:
            return
        cancelled.wait(left)
    raise Cancelled
