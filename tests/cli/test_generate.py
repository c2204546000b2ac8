"""`sdtui generate`, `status` and `stop` with the demo model behind a real backend."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from sdtui.backend.starter import running_backend
from sdtui.library.places import find_places
from tests.program import LONG, SMALL, Program, one_sentence


def pixels(path: str) -> bytes:
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def test_the_json_names_picture_seed_and_infotext(shared: Program) -> None:
    told = shared.json("generate", "a red circle", "--negative", "blue", "--set", "seed=7", *SMALL)
    assert set(told) == {"images", "job", "seconds"}
    assert isinstance(told["job"], int) and told["seconds"] > 0
    (image,) = told["images"]
    assert set(image) == {"path", "seed", "infotext"} and image["seed"] == 7
    assert Path(image["path"]).is_relative_to(shared.home / "outputs")
    with Image.open(image["path"]) as png:
        assert png.size == (64, 64)
        assert png.text["parameters"] == image["infotext"]
    prompt, negative, line = image["infotext"].splitlines()
    assert (prompt, negative) == ("a red circle", "Negative prompt: blue")
    assert line.startswith("Steps: 4, Sampler: ") and "Seed: 7, Size: 64x64" in line


def test_without_json_stdout_holds_the_paths_alone(shared: Program) -> None:
    done = shared("generate", "a red circle", *SMALL, "-n", "2")
    paths = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == ""
    assert len(paths) == 2 and all(Path(path).is_file() for path in paths)


def test_n_pictures_have_seeds_in_a_row_and_are_the_single_ones(shared: Program) -> None:
    words = ("generate", "a blue square", *SMALL)
    row = shared.json(*words, "-n", "3", "--set", "seed=40")["images"]
    assert [image["seed"] for image in row] == [40, 41, 42]
    (alone,) = shared.json(*words, "--set", "seed=42")["images"]
    assert pixels(row[2]["path"]) == pixels(alone["path"])
    assert pixels(row[0]["path"]) != pixels(row[1]["path"])


def test_a_deterministic_batch_is_byte_for_byte_the_single_pictures(shared: Program) -> None:
    words = ("generate", "a green triangle", *SMALL, "--set", "deterministic=on")
    batch = shared.json(*words, "-n", "3", "--set", "batch_size=3", "--set", "seed=90")["images"]
    for image in batch:
        (alone,) = shared.json(*words, "--set", f"seed={image['seed']}")["images"]
        assert pixels(image["path"]) == pixels(alone["path"]), image["seed"]


def test_a_preset_gives_values_and_set_wins_over_it(shared: Program) -> None:
    words = ("--set", "width=64", "--set", "height=64")
    told = shared.json("generate", "x", "--preset", "draft", *words)
    assert "Steps: 8," in told["images"][0]["infotext"]
    told = shared.json("generate", "x", "--preset", "1", "--set", "steps=3", *words)
    assert "Steps: 3," in told["images"][0]["infotext"]


def test_a_preset_may_bring_prompt_prefix_and_suffix(shared: Program) -> None:
    folder = shared.home / "presets" / "generate"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.yaml").write_text(
        "schema: 1\nname: Own\nprompt_prefix: 'best, '\nprompt_suffix: ', sharp'\n"
        "values: {prompt: a dog, steps: 2, width: 64, height: 64}\n"
    )
    of_preset = shared.json("generate", "--preset", "own")["images"][0]["infotext"]
    assert of_preset.startswith("best, a dog, sharp\nSteps: 2,")
    asked = shared.json("generate", "a cat", "--preset", "own")["images"][0]["infotext"]
    assert asked.startswith("best, a cat, sharp\n")


def test_the_prompt_is_read_from_standard_input(shared: Program) -> None:
    done = shared("generate", "-", "--json", *SMALL, stdin="a yellow star,\nat night\n")
    infotext = json.loads(done.stdout)["images"][0]["infotext"]
    assert infotext.startswith("a yellow star,\nat night\nSteps: ")


def test_detach_prints_the_job_and_leaves_it_to_the_backend(shared: Program) -> None:
    done = shared("generate", "a red circle", *SMALL, "--detach")
    assert done.returncode == 0
    job = shared.job_ended(int(done.stdout))
    assert job["state"] == "done"
    assert [Path(image["path"]).is_file() for image in job["images"]] == [True]


def test_ctrl_c_cancels_the_job_and_keeps_what_is_finished(shared: Program) -> None:
    child = shared.start("generate", "a red circle", *LONG, "-n", "100")
    first = child.stdout.readline().strip()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    finished = [first, *out.splitlines()]
    assert f"cancelled; {len(finished)} finished" in err and len(finished) < 100
    assert all(Path(path).is_file() for path in finished)
    newest = max(shared.json("status")["jobs"], key=lambda job: job["job"])
    assert newest["state"] == "cancelled"
    assert [image["path"] for image in newest["images"]] == finished


def test_ctrl_c_ends_a_local_run_and_keeps_what_is_finished(scripted: Program) -> None:
    child = scripted.start("generate", "steps=5 step_s=0.1", "-n", "100", "--local")
    first = child.stdout.readline().strip()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and "cancelled" in err
    assert all(Path(path).is_file() for path in (first, *out.splitlines()))


def test_a_hangup_leaves_the_job_to_the_backend(shared: Program) -> None:
    child = shared.start("generate", "a red circle", *LONG, "-n", "3")
    first = child.stdout.readline().strip()
    child.send_signal(signal.SIGHUP)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGHUP
    newest = max(shared.json("status")["jobs"], key=lambda job: job["job"])
    job = shared.job_ended(newest["job"])
    assert job["state"] == "done" and len(job["images"]) == 3
    assert job["images"][0]["path"] == first


def test_on_a_terminal_the_steps_are_shown_in_one_line(shared: Program) -> None:
    ours, theirs = pty.openpty()
    child = shared.start("generate", "a red circle", *LONG, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # a pty whose other end is closed
        pass
    child.communicate(timeout=60)
    os.close(ours)
    assert re.search(rb"step \d+ of 30, \d+\.\d it/s", seen)
    assert b"\n" not in seen and seen.endswith(b"\r\x1b[K")


def test_local_works_without_a_backend_and_makes_the_same_picture(
    shared: Program, program: Program
) -> None:
    words = ("generate", "a red circle", "--set", "seed=5", *SMALL)
    here = program.json(*words, "--local")["images"][0]
    assert running_backend(find_places(program.home)) is None
    there = shared.json(*words)["images"][0]
    assert here["infotext"] == there["infotext"]
    assert pixels(here["path"]) == pixels(there["path"])


def test_local_does_not_run_beside_a_backend(shared: Program) -> None:
    said = one_sentence(shared("generate", "x", *SMALL, "--local"), 1)
    assert "already works in" in said and "sdtui stop" in said


def test_a_killed_backend_is_said_and_the_next_one_goes_on(scripted: Program) -> None:
    child = scripted.start("generate", "steps=5 step_s=0.1", "-n", "50")
    first = child.stdout.readline().strip()
    os.kill(running_backend(find_places(scripted.home)), signal.SIGKILL)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "The backend has ended unexpectedly" in err and "Traceback" not in err
    assert Path(first).is_file()
    told = scripted.json("generate", "steps=1")  # starts the next one
    broken = scripted.job(told["job"] - 1)
    assert broken["state"] == "interrupted" and broken["images"][0]["path"] == first


def test_status_and_stop(scripted: Program) -> None:
    assert "no backend runs" in scripted("status").stdout
    assert scripted.json("status") == {"running": False}
    assert "no backend runs" in scripted("stop").stdout
    scripted.json("generate", "steps=1")
    told = scripted("status").stdout
    assert "demo (sd15, float32)" in told and "0 running, 0 waiting" in told
    assert "give a job's number" in scripted("cancel", "x").stderr
    assert scripted("cancel", "99").returncode == 2
    job = scripted("generate", "step_s=1", "-n", "99", "--detach").stdout.strip()
    assert scripted("cancel", job).stdout == f"job {job} is cancelled\n"
    scripted("generate", "step_s=1 \x1b]0;evil\x07", "-n", "99", "--detach")
    told = scripted("status").stdout
    assert "1 running" in told and "evil" in told and "\x1b" not in told
    assert scripted("stop").returncode == 0
    assert running_backend(find_places(scripted.home)) is None
    assert scripted.json("status") == {"running": False}


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("generate", "--help")])
def test_help_and_version_need_no_home(words: tuple[str, ...], tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": "/nonexistent", "SDTUI_HOME": "/nonexistent/home"}
    done = subprocess.run(
        [sys.executable, "-m", "sdtui", *words], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0 and "sdtui" in done.stdout and done.stderr == ""
