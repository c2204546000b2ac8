"""What does the jobs: from a job's parameters to saved pictures. Lives on the device's thread.

Importing this module is light; torch and diffusers are loaded when a `GenerateRunner` is made.
"""

from __future__ import annotations

import io
import threading
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdtui.library import catalog, in_use, loras, outputs
from sdtui.library.atomic import replace_quickly
from sdtui.library.config import ConfigError, read_config
from sdtui.library.hashes import Hashing
from sdtui.library.places import Places
from sdtui.params.generate import GenerateParams

from . import describe, prompts
from .protocol import (
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
from .runner import Cancelled, JobError, Report

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from sdtui.diffusion.load import Model
    from sdtui.diffusion.shelf import Kept, Wanted

TELL_EVERY_S = 0.1
"""Steps and previews are told at most so often; the last step of a batch always."""
LORA_TELL = 16
"""Progress is told after so many modules."""
SPEED_OVER = 10
"""it/s is the mean over so many steps."""


class GenerateRunner:
    """Makes pictures on one device. What it keeps in memory is the shelf's matter."""

    def __init__(self, device: str, places: Places) -> None:
        """Loads the libraries: some seconds."""
        import gc
        import logging

        import torch

        from sdtui.diffusion import load, pipeline  # noqa: F401  (so that the first job need not)
        from sdtui.diffusion.shelf import Shelf

        _libraries_quiet()
        logging.getLogger(__name__).debug("torch %s", torch.__version__)
        self.device = device
        self._torch_device = torch.device(device)
        self._places = places
        self._shelf = Shelf()
        # Half a million objects that stay: the collector need not look at them again.
        gc.collect()
        gc.freeze()

    @property
    def model(self) -> ModelView | None:
        if self._shelf.current is None:
            return None
        model = self._shelf.current.model
        return ModelView(
            name=model.name, path=str(model.path), family=model.family, device=self.device,
            dtype=str(model.dtype).removeprefix("torch."),
        )  # fmt: skip

    def free(self) -> None:
        self._shelf.clear()
        in_use.note(self._places, [])

    def run(self, job: JobView, report: Report, cancelled: threading.Event) -> None:
        """Make the job's pictures (see `runner.Runner.run`)."""
        import torch

        from sdtui.diffusion.vae import NotFinite

        params = prompts.settled(GenerateParams.model_validate(job.params))
        work = _Work(self, self._places, job.job, params, report, cancelled)
        requests = work.requests = prompts.chosen(params, self._places, work.warn)
        work.loras = prompts.check_tags(requests, self._places, work.warn)
        try:
            kept = self._loaded(params, work)
            work.make(kept)
        except torch.OutOfMemoryError as error:
            self.free()
            report(ModelChanged(model=None))
            raise JobError(
                "The graphics card has too little memory for this picture",
                f"{params.width}x{params.height}, batch of {params.batch_size}",
                "A smaller size or batch size helps",
            ) from error
        except NotFinite as error:
            raise JobError(
                "The picture came out as not-a-number",
                "The model overflows in this precision, or its file is damaged",
                "Another checkpoint, or a lower CFG scale, may help",
            ) from error

    def _loaded(self, params: GenerateParams, work: _Work) -> Kept:
        """The model that the job wants: from memory, else from its files."""
        from sdtui.diffusion.shelf import Wanted

        places, shelf = self._places, self._shelf
        try:
            found = catalog.find(places, params.checkpoint)
            loras.check_base(chain.from_iterable(work.loras), found.family, found.name)
            vae = catalog.vae_for(places, found, params.vae)
            text = catalog.text_encoder_for(places, params.text_encoder)
            budget_bytes = read_config(places).memory_bytes
        except (catalog.CatalogError, ConfigError) as error:
            still = shelf.named(params.checkpoint)  # its file was deleted; it goes on being used
            if isinstance(error, catalog.UnknownCheckpoint) and still is not None:
                kept = shelf.take(still, work.warn)
                if kept is not None:
                    return kept
            raise JobError(str(error)[:1].upper() + str(error)[1:], usage=True) from None
        wanted = Wanted(found.path, vae, text)
        before = shelf.current
        kept = shelf.take(wanted, work.warn)
        if kept is None:
            if found.problem:
                raise _cannot_load(found, found.problem)
            shelf.make_room(budget_bytes)
            work.report(ModelChanged(model=None))
            kept = self._load(found, wanted, work)
        if kept is not before:
            work.report(ModelChanged(model=self.model))
        return kept

    def _load(self, found: catalog.Checkpoint, wanted: Wanted, work: _Work) -> Kept:
        from sdtui.diffusion.load import LoadError, load_model
        from sdtui.diffusion.preview import fit
        from sdtui.diffusion.shelf import Kept

        try:
            model = load_model(
                found.name, found.path, found.family, self._torch_device,
                lambda part: work.phase("loading", part),
                kind=None if found.path.is_dir() else found.kind,
                vae=wanted.vae, text=wanted.text,
            )  # fmt: skip
        except LoadError as error:
            raise _cannot_load(found, str(error)) from error
        kept = Kept(model, fit(model))
        self._shelf.put(wanted, kept)
        in_use.note(self._places, self._shelf.stamps)
        return kept


def _cannot_load(found: catalog.Checkpoint, why: str) -> JobError:
    hint = "Choose another checkpoint, or put the file right"
    return JobError(f"The checkpoint “{found.name}” cannot be loaded", why, hint)


class _Work:
    """One job in the making: what is told, what is saved."""

    def __init__(
        self, runner: GenerateRunner, places: Places, job: int, params: GenerateParams,
        report: Report, cancelled: threading.Event,
    ) -> None:  # fmt: skip
        self.runner, self.places, self.job, self.params = runner, places, job, params
        self.report, self.cancelled = report, cancelled
        self.requests = [params]
        """The job's parts: one for each of the prompts that its prompt stands for."""
        self.request = params
        """The part in work."""
        self.done = 0
        self.progress = Progress(steps=params.steps, images=params.images)
        self.told_s = self.previewed_s = 0.0
        self.ticks: list[float] = []
        self.model: Model
        self.factors: Tensor
        self.hashing: Hashing
        self.vae_hashing: Hashing | None = None
        self.loras: list[list[loras.ChosenLora]] = []
        """Of each part of the job."""
        self.lora_hashings: dict[str, Hashing] = {}
        self.lora_notices: set[str] = set()

    @property
    def images(self) -> int:
        """Pictures of all parts."""
        return sum(request.images for request in self.requests)

    def make(self, kept: Kept) -> None:
        from sdtui.diffusion.pipeline import Hooks, generate

        model = self.model = kept.model
        self.factors = kept.factors
        self._fits(model)
        self.hashing = Hashing(self.places, model.path)
        if model.vae_file is not None:
            self.vae_hashing = Hashing(self.places, model.vae_file)
        hooks = Hooks(
            phase=self.phase, step=self.step, image=self.save, check=self.check,
            notice=self.warn,
        )  # fmt: skip
        for request, chosen in zip(self.requests, self.loras, strict=True):
            self.request = request
            self.progress = self.progress.model_copy(
                update={"steps": request.steps, "images": self.images}
            )
            self._put_in(chosen, kept)
            named = prompts.embeddings(request, self.places, model, self.warn)
            generate(model, request, hooks, {**named, **kept.loras.embeddings})

    def _put_in(self, chosen: list[loras.ChosenLora], kept: Kept) -> None:
        """Give the model these LoRAs and no others; what does not fit is told, or stops the job."""
        from sdtui.diffusion.lora import LoraError, LoraUse

        def told(done: int, of: int) -> None:
            self.check()
            if done % LORA_TELL == 0:
                self.phase("loading", f"LoRA: {done} of {of} modules")

        uses = [LoraUse(x.tag.name, x.file.path, x.tag.te, x.tag.unet, x.tag.dyn) for x in chosen]
        try:
            matches = kept.loras.apply(uses, told)
        except LoraError as error:
            raise JobError(str(error), usage=True) from None
        for match in matches:
            if match.left_out and match.said not in self.lora_notices:
                self.lora_notices.add(match.said)
                self.warn(match.said)
        self.lora_hashings = {
            one.tag.name: Hashing(self.places, one.file.path, data=True) for one in chosen
        }

    def _fits(self, model: Model) -> None:
        """Raise JobError for what this model cannot draw."""
        if model.variant in ("pix2pix", "depth"):
            raise JobError(
                f"The checkpoint “{model.name}” cannot draw from a prompt alone",
                f"It is a {model.variant} model, which needs a picture to start from",
                "Choose another checkpoint", usage=True,
            )  # fmt: skip
        sizes = {("width", request.width) for request in self.requests}
        sizes |= {("height", request.height) for request in self.requests}
        for name, pixels in sorted(sizes):
            if pixels % model.factor:
                raise JobError(
                    f"{name} {pixels} is not a multiple of {model.factor}",
                    f"The VAE of {model.name} makes blocks of {model.factor} pixels", usage=True,
                )  # fmt: skip

    def warn(self, text: str) -> None:
        self.report(Notice(text=text, level="warning"))

    def check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled

    def phase(self, name: Any, detail: str = "") -> None:
        self.check()
        step = 0 if name == "sampling" else self.progress.step
        self.progress = self.progress.model_copy(
            update={"phase": name, "detail": detail, "step": step, "image": self.done}
        )
        if name == "sampling":
            self.ticks = [time.monotonic()]
        self.report(StepDone(job=self.job, progress=self.progress))

    def step(self, step: int, denoised_BCHW: Tensor) -> None:
        self.check()
        now = time.monotonic()
        self.ticks = [*self.ticks[-SPEED_OVER:], now]
        span = self.ticks[-1] - self.ticks[0]
        speed = (len(self.ticks) - 1) / span if span > 0 else 0.0
        self.progress = self.progress.model_copy(
            update={"step": step, "steps_per_s": speed, "eta_s": self._eta(step, speed)}
        )
        if now - self.told_s >= TELL_EVERY_S or step >= self.request.steps:
            self.told_s = now
            self.report(StepDone(job=self.job, progress=self.progress))
        every = self.params.preview_every
        if every and step % every == 0 and now - self.previewed_s >= TELL_EVERY_S:
            self.previewed_s = now
            self._preview(step, denoised_BCHW)

    def _eta(self, step: int, speed: float) -> float | None:
        if speed <= 0:
            return None
        batches = -(-(self.images - self.done) // self.request.batch_size)
        return (batches * self.request.steps - step) / speed

    def _preview(self, step: int, denoised_BCHW: Tensor) -> None:
        from sdtui.diffusion.preview import contact_sheet

        path = self.places.previews / f"{self.job}.png"
        sheet = contact_sheet(self.factors, denoised_BCHW)
        replace_quickly(path, _png(sheet))
        width, height = sheet.size
        self.report(
            PreviewReady(job=self.job, path=str(path), step=step, width=width, height=height)
        )

    def _vae(self) -> describe.NamedModel | None:
        """The VAE's file name and hash, where it is not the checkpoint's own."""
        file = self.model.vae_file
        if file is None or self.vae_hashing is None:
            return None
        return file.name, self.vae_hashing.short(self.cancelled.is_set)

    def _lora_hashes(self) -> dict[str, str]:
        found = {
            name: hashing.short(self.cancelled.is_set)
            for name, hashing in self.lora_hashings.items()
        }
        return {name: digest for name, digest in found.items() if digest}

    def save(self, image: Image, seed: int) -> None:
        model = (self.model.name, self.hashing.short(self.cancelled.is_set))
        whole = ("seed", "batch_size", "batch_count")
        drawn = self.request.model_copy(update={name: getattr(self.params, name) for name in whole})
        text = describe.infotext(drawn, model, seed, self._vae(), self._lora_hashes())
        facts = describe.facts(drawn, model, seed, self.done, image)
        try:
            path = outputs.save_picture(
                self.places, describe.png(image, text), self.params.folder_pattern,
                self.params.filename_pattern, facts,
            )  # fmt: skip
        except OSError as error:
            raise JobError(
                f"The picture cannot be saved in {self.places.outputs}",
                error.strerror or str(error),
                "Make room or make the folder writable, then retry the job",
            ) from error
        self.done += 1
        self.progress = self.progress.model_copy(update={"image": self.done})
        self.report(
            ImageSaved(
                job=self.job,
                image=SavedImage(
                    path=str(path), seed=seed, width=image.width, height=image.height, infotext=text
                ),
            )
        )
        if self.done == self.images:
            Path(self.places.previews / f"{self.job}.png").unlink(missing_ok=True)


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _libraries_quiet() -> None:
    """Progress bars and advice of the libraries would only fill the log."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
