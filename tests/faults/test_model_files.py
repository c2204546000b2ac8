"""A model file cut off under the backend kills it; the next backend says which file it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import make_model
from sdtui.backend.client import running_backend
from sdtui.library.places import find_places
from tests.program import LONG, SMALL, Program

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture
def program() -> Iterator[Program]:
    folder = Path(tempfile.mkdtemp(prefix="sdtui-faults-"))
    program = Program(folder / "home")
    yield program
    program("stop")
    shutil.rmtree(folder, ignore_errors=True)


def test_a_file_cut_off_in_use_is_named_and_the_queue_goes_on(program: Program) -> None:
    # fp32 as the CPU wants it, so that the weights in use are pages of the file.
    path = program.home / "models" / "checkpoints" / "mine.safetensors"
    make_model.checkpoint(path, "sd15", tiny=True, dtype="fp32")
    mine = ("--set", "checkpoint=mine")
    child = program.start("generate", "a cat", *mine, *LONG, "-n", "200")
    first = child.stdout.readline().strip()
    assert Path(first).is_file()
    program("generate", "a red circle", *SMALL, "--detach")
    os.truncate(path, 4096)
    _, err = child.communicate(timeout=300)
    assert child.returncode == 1 and "ended unexpectedly" in err

    told = program.json("generate", "a blue circle", *SMALL)  # starts the next backend
    broken = program.job(1)
    assert broken["state"] == "interrupted"
    assert f"{path} was overwritten" in broken["error"]["why"]
    assert broken["images"][0]["path"] == first
    assert program.job_ended(2)["state"] == "done", "the queue goes on"
    assert program.job_ended(told["job"])["state"] == "done"


def test_replaced_and_deleted_files_do_no_harm(program: Program) -> None:
    path = program.home / "models" / "checkpoints" / "mine.safetensors"
    make_model.checkpoint(path, "sd15", tiny=True, dtype="fp32")
    child = program.start("generate", "a cat", "--set", "checkpoint=mine", *LONG, "-n", "8")
    assert child.stdout.readline()
    other = make_model.checkpoint(path.with_name("new"), "sd15", tiny=True, dtype="fp32", seed=9)
    other.replace(path)
    assert child.stdout.readline()
    path.unlink()
    out, err = child.communicate(timeout=300)
    assert child.returncode == 0, err
    assert len(out.splitlines()) == 6
    assert running_backend(find_places(program.home)) is not None
