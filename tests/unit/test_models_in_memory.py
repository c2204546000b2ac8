"""The runner with the person's own files: what is loaded, what is kept, what is noticed."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench import make_model
from sdtui.backend.protocol import ImageSaved, JobView, ModelChanged, Notice, StepDone
from sdtui.backend.runner import JobError
from sdtui.backend.worker import GenerateRunner
from sdtui.library import in_use
from sdtui.library.config import config_file
from sdtui.library.places import Places, find_places
from sdtui.params.generate import GenerateParams

SMALL = {"prompt": "a cat", "seed": 1, "steps": 1, "width": 64, "height": 64, "preview_every": 0}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two SD 1.5 checkpoints, one SDXL, one VAE."""
    folder = tmp_path_factory.mktemp("made")
    make_model.checkpoint(folder / "one.safetensors", "sd15", tiny=True)
    make_model.checkpoint(folder / "two.safetensors", "sd15", tiny=True, seed=5)
    make_model.checkpoint(folder / "big.safetensors", "sdxl", tiny=True)
    make_model.vae(folder / "kl.safetensors", tiny=True)
    return folder


class Bench:
    """A runner, its home, and what it told."""

    def __init__(self, home: Path, made: Path) -> None:
        self.places: Places = find_places(home).prepare()
        self.checkpoints = self.places.models / "checkpoints"
        self.checkpoints.mkdir()
        for name in ("one", "two", "big"):
            shutil.copy(made / f"{name}.safetensors", self.checkpoints)
        vae = self.places.models / "VAE"
        vae.mkdir()
        shutil.copy(made / "kl.safetensors", vae)
        self.runner = GenerateRunner("cpu", self.places)
        self.told: list[Any] = []

    def draw(self, checkpoint: str, **values: Any) -> ImageSaved:
        self.told = []
        params = GenerateParams(**{**SMALL, "checkpoint": checkpoint, **values})
        job = JobView(job=1, params=params.model_dump())
        self.runner.run(job, self.told.append, threading.Event())
        return next(event for event in self.told if isinstance(event, ImageSaved))

    @property
    def loaded(self) -> bool:
        """Whether the last job read a model from the disk."""
        return any(isinstance(e, StepDone) and e.progress.phase == "loading" for e in self.told)

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.told if isinstance(event, Notice)]

    def pixels(self, saved: ImageSaved) -> bytes:
        with Image.open(saved.image.path) as image:
            return image.tobytes()


@pytest.fixture
def bench(home: Path, made: Path) -> Bench:
    return Bench(home, made)


def test_one_model_by_default(bench: Bench) -> None:
    first = bench.draw("one")
    assert bench.loaded
    bench.draw("one")
    assert not bench.loaded
    bench.draw("two")
    again = bench.draw("one")
    assert bench.loaded
    assert bench.pixels(first) == bench.pixels(again)


def test_more_within_the_budget_and_going_back_reads_no_disk(bench: Bench) -> None:
    config_file(bench.places).write_text("models_in_memory_gb: 1\n")
    first = bench.draw("one")
    bench.draw("two")
    assert bench.loaded
    again = bench.draw("one")
    assert not bench.loaded
    assert bench.pixels(first) == bench.pixels(again)
    changed = [event.model for event in bench.told if isinstance(event, ModelChanged)]
    assert [model.name for model in changed if model] == ["one"]
    bench.runner.free()
    assert bench.runner.model is None
    bench.draw("two")
    assert bench.loaded


def test_sdxl_draws(bench: Bench) -> None:
    saved = bench.draw("big", negative_prompt="dog")
    assert bench.runner.model.family == "sdxl"
    assert "Model: big" in saved.image.infotext


def test_inpainting_checkpoints_draw_whole_pictures_and_others_say_what_they_need(
    bench: Bench,
) -> None:
    make_model.checkpoint(bench.checkpoints / "in.safetensors", "sd15", tiny=True, inputs=9)
    assert bench.draw("in").image.width == 64
    make_model.checkpoint(bench.checkpoints / "de.safetensors", "sd2", tiny=True, inputs=5)
    with pytest.raises(JobError, match="It is a depth model, which needs a picture"):
        bench.draw("de")


def test_a_chosen_vae_is_used_and_written_down(bench: Bench) -> None:
    own = bench.draw("one")
    other = bench.draw("one", vae="kl")
    assert bench.pixels(own) != bench.pixels(other)
    assert "VAE: kl.safetensors" in other.image.infotext and "VAE hash: " in other.image.infotext
    assert "VAE" not in own.image.infotext


def test_an_overwritten_file_is_noticed_before_it_is_used(bench: Bench, made: Path) -> None:
    first = bench.draw("one")
    with (bench.checkpoints / "one.safetensors").open("r+b") as file:
        file.write((made / "two.safetensors").read_bytes())
    os.utime(bench.checkpoints / "one.safetensors")
    second = bench.draw("one")
    assert bench.notices == ["one.safetensors was overwritten; it is loaded again"]
    assert bench.pixels(first) != bench.pixels(second)


def test_a_file_replaced_by_renaming_is_loaded_anew(bench: Bench, made: Path) -> None:
    bench.draw("one")
    shutil.copy(made / "two.safetensors", bench.checkpoints / "new")
    (bench.checkpoints / "new").replace(bench.checkpoints / "one.safetensors")
    bench.draw("one")
    assert bench.loaded and bench.notices == []


def test_a_deleted_file_goes_on_being_used(bench: Bench) -> None:
    first = bench.draw("one")
    (bench.checkpoints / "one.safetensors").unlink()
    second = bench.draw("one")
    assert not bench.loaded
    assert bench.pixels(first) == bench.pixels(second)
    with pytest.raises(JobError, match="There is no checkpoint “three”"):
        bench.draw("three")


@pytest.mark.parametrize(
    ("break_it", "words"),
    [(lambda path: os.truncate(path, 5000), "is not a safetensors file, or it is cut off"),
     (lambda path: os.truncate(path, path.stat().st_size - 8), "is incomplete"),
     (lambda path: path.write_bytes(b"<!DOCTYPE html>"), "is a web page"),
     (lambda path: make_model.lora(path, "sdxl", hollow=True), "is not a checkpoint: SDXL LoRA"),
     (lambda path: make_model.checkpoint(path, "sd15", tiny=True, without=("vae",)), "has no VAE")],
)  # fmt: skip
def test_what_cannot_be_loaded_is_said_and_the_next_job_works(
    bench: Bench, break_it: Callable[[Path], object], words: str
) -> None:
    break_it(bench.checkpoints / "two.safetensors")
    with pytest.raises(JobError, match=words):
        bench.draw("two")
    assert bench.draw("one").image.path


def test_the_next_backend_knows_which_file_was_overwritten(bench: Bench) -> None:
    bench.draw("one", vae="kl")
    assert in_use.overwritten(bench.places) is None
    file = bench.checkpoints / "one.safetensors"
    os.truncate(file, 100)
    assert in_use.overwritten(bench.places) == file
    bench.runner.free()
    assert in_use.overwritten(bench.places) is None
