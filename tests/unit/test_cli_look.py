"""`sdtui info`, `sdtui params`, `sdtui presets` as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdtui.backend import describe
from sdtui.cli import main
from sdtui.params.base import specs
from sdtui.params.generate import GenerateParams
from tests.vectors_path import DEFAULT

WRITTEN = DEFAULT / "images" / "written_by_a1111_code"
EVIL = "a \x1b[2J\x07\x9b31m\u202ecat\ttab\ud83d"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command: (exit code, stdout, stderr)."""

    def command(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        out, err = capsys.readouterr()
        return code, out, err

    return command


def png(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    Image.new("RGB", (16, 8)).save(path, pnginfo=info)
    return path


def one_sentence(err: str) -> str:
    assert err.startswith("sdtui: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


# -------------------------------------------------------------------------------------- info


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_info_of_a_picture_from_a1111(run: Any, kind: str) -> None:
    code, out, err = run("info", str(WRITTEN / f"unicode.{kind}"))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"File             unicode.{kind}, 64x96, {'JPEG' if kind == 'jpg' else kind.upper()}",
        "Prompt           猫 🐈 “quoted”", "Negative prompt  悪い", "Steps            20",
        "Sampler          Euler a", "Schedule type    Automatic", "CFG scale        7",
        "Seed             1", "Size             64x96", "Version          v1.10.1",
    ]  # fmt: skip


def test_info_as_json(run: Any, home: Path) -> None:
    params = GenerateParams(prompt="a cat\n猫", seed=5, steps=9, width=64, height=128, clip_skip=2)
    text = describe.infotext(params, ("demo", "0123456789"), 5)
    code, out, _ = run("info", str(png(home / "x.png", parameters=text)), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["width"], found["height"], found["format"]) == (16, 8, "PNG")
    assert (found["prompt"], found["infotext"]) == (params.prompt, text)
    assert found["settings"]["Size"] == "64x128" and found["settings"]["Steps"] == "9"
    assert GenerateParams(**found["values"]) == params
    assert [one["key"] for one in found["ignored"] if one["matters"]] == []


def test_info_names_what_is_not_here(run: Any) -> None:
    found = json.loads(run("info", str(WRITTEN / "latin1.png"), "--json")[1])
    assert "checkpoint" not in found["values"]
    why = {one["key"]: one["why"] for one in found["ignored"]}
    assert why["Model"] == "there is no such checkpoint here"


def test_info_of_several_lines_stays_aligned(run: Any, home: Path) -> None:
    path = png(home / "x.png", parameters="one\n\nthree\nSteps: 1, Seed: 2, Size: 8x8")
    lines = run("info", str(path))[1].splitlines()
    assert lines[1:5] == ["Prompt  one", "", "        three", "Steps   1"]


def test_a_prompt_without_settings_is_shown(run: Any, home: Path) -> None:
    code, out, _ = run("info", str(png(home / "x.png", parameters="just words")))
    assert code == 0 and "Prompt  just words" in out


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_nothing_in_a_picture_commands_the_terminal(
    run: Any, home: Path, flags: tuple[str, ...]
) -> None:
    text = f"{EVIL}\nSteps: 1, Seed: 2, Size: 8x8, Model: {EVIL}".replace("\ud83d", "")
    code, out, _ = run("info", str(png(home / "x.png", parameters=text)), *flags)
    assert code == 0
    assert not [char for char in out if not (char.isprintable() or char in "\n")] or flags
    for char in "\x1b\x07\x9b\t\x7f":
        assert char not in out
    if flags:
        assert json.loads(out)["infotext"] == text
    else:
        assert "a \\x1b[2J\\x07\\x9b31m\\u202ecat\\ttab" in out


def test_a_name_with_control_characters(run: Any, home: Path) -> None:
    path = png(home / "x\x1b[31m\n.png", parameters="cat\nSteps: 1, Seed: 2, Size: 8x8")
    code, out, _ = run("info", str(path))
    assert code == 0 and "x\\x1b[31m\\n.png" in out.splitlines()[0]
    one_sentence(run("info", str(home / "gone\x1b[31m\n.png"))[2])


def test_info_exit_codes(run: Any, home: Path) -> None:
    code, out, err = run("info", str(png(home / "bare.png")))
    assert (code, out) == (1, "")
    assert one_sentence(err).endswith("bare.png holds no settings\n")
    code, _, err = run("info", str(png(home / "comfy.png", prompt="{}", workflow="{}")))
    assert code == 1
    assert "only texts of other programs: prompt, workflow" in one_sentence(err)
    (home / "text.png").write_text("no picture")
    cases = {"text.png": "is not a picture", "gone.png": "there is no file", ".": "is a folder"}
    for name, words in cases.items():
        code, out, err = run("info", str(home / name))
        assert (code, out) == (2, "") and words in one_sentence(err)
    whole = (WRITTEN / "latin1.jpg").read_bytes()
    (home / "cut.jpg").write_bytes(whole[:100])
    code, _, err = run("info", str(home / "cut.jpg"))
    assert code == 2 and "cut.jpg" in one_sentence(err)


def test_info_is_light(home: Path) -> None:
    code = (
        "import sys; from sdtui.cli import main\n"
        f"main(['--home', {str(home)!r}, 'info', {str(WRITTEN / 'latin1.jpg')!r}, '--json'])\n"
        "heavy = ('torch', 'diffusers', 'transformers', 'textual', 'peft')\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert json.loads(done.stdout)["prompt"] == "a cat"


# ------------------------------------------------------------------------------------ params


def test_params_lists_every_parameter(run: Any) -> None:
    code, out, err = run("params")
    assert (code, err) == (0, "")
    for name, spec in specs(GenerateParams).items():
        assert f"  {name}: " in out and spec.help in out and all(c in out for c in spec.choices)
    assert "steps: whole number from 1 to 150; default 20" in out
    assert "width: whole number from 64 to 4096 px, a multiple of 8; default 512" in out
    assert "deterministic: true or false; default false" in out


def test_params_as_json_can_rebuild_the_form(run: Any) -> None:
    listed = json.loads(run("params", "--json")[1])
    assert [one["name"] for one in listed] == list(GenerateParams.model_fields)
    steps = next(one for one in listed if one["name"] == "steps")
    assert (steps["minimum"], steps["maximum"], steps["infotext"]) == (1, 150, "Steps")


# ----------------------------------------------------------------------------------- presets


def own_preset(home: Path, text: str, name: str = "mine") -> None:
    folder = home / "presets" / "generate"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)


def test_presets_are_listed_own_ones_too(run: Any, home: Path) -> None:
    own_preset(home, "schema: 1\nname: Mine\nabout: Of me.\nkey: 1\nvalues: {steps: 33}\n")
    code, out, err = run("presets")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("1  Mine") and "Of me. (your own)" in lines[0]
    assert any("Draft" in line and not line.startswith("1") for line in lines), "its digit is taken"
    listed = json.loads(run("presets", "list", "--json")[1])
    assert listed[0]["name"] == "Mine" and listed[0]["values"] == {"steps": 33}


def test_a_broken_preset_is_named_and_hides_nothing(run: Any, home: Path) -> None:
    own_preset(home, "schema: 1\nvalues: {stepz: 33}\n")
    code, out, err = run("presets")
    assert code == 2 and "Draft" in out
    assert "mine.yaml" in err and "unknown key “stepz”; did you mean “steps”?" in err
    one_sentence(err)


def test_show(run: Any) -> None:
    for name in ("draft", "Draft", "1"):
        code, out, _ = run("presets", "show", name)
        assert code == 0 and "steps      8" in out.splitlines()
    assert json.loads(run("presets", "show", "draft", "--json")[1])["values"]["steps"] == 8


def test_diff(run: Any, home: Path) -> None:
    own_preset(home, "schema: 1\nname: Tags\nprompt_prefix: 'best, '\nvalues: {steps: 8}\n")
    assert "steps      20 → 8" in run("presets", "diff", "draft")[1]
    assert "steps      8 → 40" in run("presets", "diff", "draft", "fine")[1]
    assert "prompt   → best," in run("presets", "diff", "tags")[1]
    changes = json.loads(run("presets", "diff", "draft", "fine", "--json")[1])
    assert {"name": "steps", "old": 8, "new": 40} in changes
    assert run("presets", "diff", "draft", "draft") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show",), "use `sdtui presets`"),
        (("diff",), "use `sdtui presets`"),
        (("list", "draft"), "use `sdtui presets`"),
        (("diff", "a", "b", "c"), "use `sdtui presets`"),
        (("show", "dra"), "did you mean “Draft”?"),
        (("diff", "draft", "fime"), "did you mean “Fine”?"),
    ],
)
def test_wrong_use_says_what_is_right(run: Any, words: tuple[str, ...], says: str) -> None:
    code, out, err = run("presets", *words)
    assert (code, out) == (2, "") and says in one_sentence(err)
