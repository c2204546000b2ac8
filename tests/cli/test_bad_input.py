"""What goes wrong in practice: one sentence, the right exit code, no traceback on the screen (it is
in the log), and nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sdtui import demo
from tests.program import PATIENCE_S, SMALL, Program, one_sentence

ASCII_ONLY = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def preset(program: Program, text: str) -> Path:
    path = program.home / "presets" / "generate" / "mine.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--set", "stepz=3"), ("unknown key “stepz”", "“steps”")),
        (("--set", "steps"), ("key=value",)),
        (("--set", "steps=many"), ("steps 'many' must be a whole number",)),
        (("--set", "steps=0"), ("steps 0 is too small", "1")),
        (("--set", "cfg_scale=nan"), ("cfg_scale",)),
        (("--set", "deterministic=maybe"), ("must be true or false",)),
        (("--set", "sampler=Eular"), ("'Eular' is not known", "“Euler”")),
        (("--set", "width=100"), ("width 100 is not a multiple of 8", "96 or 104")),
        (("--set", "checkpoint=dmo"), ("no checkpoint “dmo”", "“demo”")),
        (("--preset", "Standart"), ("no preset “Standart”", "“Standard”")),
        (("-n", "0"), ("at least one picture",)),
        (("-n", "3", "--set", "batch_size=2"), ("multiple of the batch size, 2",)),
        (("-n", "4", "--set", "batch_size=0"), ("batch_size 0 is too small",)),
        (("--local", "--detach"), ("take one of them",)),
    ],
)
def test_what_is_wrong_on_the_command_line_is_named(
    program: Program, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    said = one_sentence(program("generate", "a cat", *words), 2)
    for part in parts:
        assert part in said


def test_without_a_prompt_it_says_how_to_give_one(program: Program) -> None:
    assert 'sdtui generate "a cat"' in one_sentence(program("generate"), 2)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("schema: 1\nvalues: {stpes: 3}\n", ("unknown key “stpes”", "“steps”")),
        ("schema: 1\nsteps: 3\n", ("unknown key “steps”", "“steps” inside values")),
        ("schema: 1\nvalues: {sampler: Eular}\n", ("'Eular' is not known", "“Euler”")),
        ("schema: 1\nvalues: {steps: 3\n", ("not YAML in line 3",)),
        ("values: {steps: 3}\n", ("schema: 1",)),
        ("schema: 1\nvalues: {prompt: &a x, negative_prompt: *a}\n", ("aliases",)),
        ("schema: 1\nvalues: !!python/object:os.system {}\n", ("not YAML in line 2",)),
    ],
)
def test_a_wrong_preset_is_named_with_the_nearest_right_word(
    program: Program, text: str, parts: tuple[str, ...]
) -> None:
    path = preset(program, text)
    said = one_sentence(program("generate", "a cat", "--preset", "mine"), 2)
    assert str(path) in said
    for part in parts:
        assert part in said
    log = (program.home / "logs" / "terminal.log").read_text()
    assert "Traceback" in log and str(path) in log


def test_a_wrong_preset_hides_no_other(shared: Program) -> None:
    path = preset(shared, "schema: 1\nvalues: {stpes: 3}\n")
    told = shared.json("generate", "a cat", "--preset", "draft", *SMALL)
    assert "Steps: 4," in told["images"][0]["infotext"]
    path.unlink()


# ---------------------------------------------------------------- model files


def model_folder(program: Program, name: str = "mine") -> Path:
    folder = program.home / "models" / "checkpoints" / name
    shutil.copytree(demo.model_dir(), folder)
    return folder


def test_a_model_folder_says_what_suits_it(shared: Program) -> None:
    folder = model_folder(shared)
    (folder / "sdtui.yaml").write_text("width: 128\nheight: 64\nsteps: 3\ncfg_scale: 4.5\n")
    infotext = shared.json("generate", "a cat", "--set", "checkpoint=mine")["images"][0]["infotext"]
    assert "Steps: 3," in infotext and "CFG scale: 4.5," in infotext
    assert "Size: 128x64," in infotext and "Model: mine," in infotext


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("widht: 128\n", ("unknown key “widht”", "“width”")),
        ("width: broad\n", ("width 'broad' must be a whole number",)),
        ("prompt: a dog\n", ("“prompt” is not a model's to set",)),
        ("- width\n", ("“name: value” lines",)),
        ("width: [\n", ("not YAML",)),
    ],
)
def test_wrong_settings_beside_a_model_are_named(
    program: Program, text: str, parts: tuple[str, ...]
) -> None:
    path = model_folder(program) / "sdtui.yaml"
    path.write_text(text)
    said = one_sentence(program("generate", "a cat", "--set", "checkpoint=mine"), 2)
    assert str(path) in said
    for part in parts:
        assert part in said


def test_broken_model_files_are_named_and_the_next_job_works(shared: Program) -> None:
    """One backend for all of them: a broken file must not spoil it."""
    weights = demo.model_dir() / "unet" / "diffusion_pytorch_model.safetensors"
    folder = shared.home / "models" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cut.safetensors").write_bytes(weights.read_bytes()[:100_000])
    (folder / "empty.safetensors").touch()
    (folder / "page.safetensors").write_text("<!DOCTYPE html><p>please log in")
    (model_folder(shared, "nounet") / "unet" / weights.name).unlink()
    unet = model_folder(shared, "cutunet") / "unet" / weights.name
    unet.write_bytes(unet.read_bytes()[:100_000])
    for name, part in (
        ("cut", "cut.safetensors"), ("empty", "empty.safetensors"), ("page", "web page"),
        ("nounet", "nounet/unet"), ("cutunet", "cutunet/unet"),
    ):  # fmt: skip
        words = ("generate", "a cat", "--set", f"checkpoint={name}", *SMALL)
        said = one_sentence(shared(*words), 1)
        assert f"“{name}”" in said and part in said, said
    log = (shared.home / "logs" / "backend.log").read_text()
    assert log.count("Traceback") >= 5
    assert shared.json("generate", "a cat", *SMALL)["images"]


# ---------------------------------------------------------------- folders


def test_a_file_where_the_home_should_be(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        program.home = home
        for more in ((), ("--local",)):
            said = one_sentence(program("generate", "a cat", *more), 2)
            assert str(home) in said and "--home" in said
        assert program("status").returncode == 0


def test_an_output_folder_that_is_read_only(program: Program) -> None:
    outputs = program.home / "outputs"
    outputs.mkdir(parents=True)
    words = program.command("generate", "a cat", *SMALL, "--local")
    if os.geteuid() == 0:  # root may write wherever the mode forbids it, but not on such a mount
        mount = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
        words = ["unshare", "-m", "sh", "-c", mount, os.fspath(outputs), *words]
        if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
            pytest.skip("as root, and without the right to mount a folder read-only")
    else:
        outputs.chmod(0o555)
    done = subprocess.run(
        words, capture_output=True, text=True, env=program.environment(), timeout=PATIENCE_S
    )
    said = one_sentence(done, 2)
    assert f"cannot write in {outputs}" in said and "--home" in said


def test_a_picture_that_cannot_be_saved_can_be_made_again(shared: Program) -> None:
    folder = shared.home / "outputs" / "txt2img"
    folder.rename(folder.with_name("aside"))
    folder.touch()  # a file where the folder of the pictures should be
    said = one_sentence(shared("generate", "a cat", *SMALL), 1)
    assert str(folder.parent) in said and "retry" in said
    job = max(shared.json("status")["jobs"], key=lambda job: job["job"])
    assert job["state"] == "failed" and job["params"]["prompt"] == "a cat"
    folder.unlink()
    folder.with_name("aside").rename(folder)
    assert shared.json("generate", "a cat", *SMALL)["images"]


def test_a_home_with_a_strange_path_of_150_characters(scripted: Program) -> None:
    name = f"{scripted.home.parent}/a 'quoted' <home>\n%s \x1b[31m ü "
    scripted.home = Path(name + "h" * (150 - len(name)))
    (image,) = scripted.json("generate", "steps=1")["images"]
    assert Path(image["path"]).is_relative_to(scripted.home)
    assert scripted.json("status")["running"]
    assert scripted("stop").returncode == 0


# ---------------------------------------------------------------- locale


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, ASCII_ONLY])
def test_without_a_utf8_locale(shared: Program, environment: dict[str, str]) -> None:
    prompt = "une forêt 🌲"
    for words, stdin in ((("generate", prompt), ""), (("generate", "-"), prompt)):
        told = shared.json(*words, *SMALL, stdin=stdin, **environment)
        assert told["images"][0]["infotext"].startswith(f"{prompt}\nSteps")
    assert shared("doctor", **environment).stderr == ""
    said = one_sentence(shared("generate", "x", "--set", "checkpoint=dmo", **environment), 2)
    assert "dmo" in said and "demo" in said
    if environment is ASCII_ONLY:
        assert said.isascii() and 'no checkpoint "dmo"' in said


def test_a_prompt_that_is_not_text(program: Program) -> None:
    words = [os.fsencode(word) for word in program.command("generate", "PROMPT")]
    for prompt, stdin in ((b"for\xeat", b""), (b"-", b"for\xeat")):
        words[-1] = prompt
        done = subprocess.run(words, input=stdin, capture_output=True, env=program.environment())
        assert done.returncode == 2
        assert b"is not UTF-8 text" in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", [("status",), ("status", "--json")])
def test_a_reader_that_leaves(program: Program, words: tuple[str, ...]) -> None:
    child = program.start(*words)
    child.stdout.close()
    assert child.stderr.read() == ""
    assert child.wait(60) == 1
