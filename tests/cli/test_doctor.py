"""`sdtui doctor`: rows with a level and advice, from outside and for machines we do not have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sdtui.cli.doctor import Row, machine
from sdtui.cli.doctor.terminal import logout_row, terminal_rows, tmux_row
from sdtui.tui.pictures.abilities import Abilities
from tests.program import Program


def test_every_row_has_a_level_and_broken_files_are_warnings(program: Program) -> None:
    models = program.home / "models" / "checkpoints"
    models.mkdir(parents=True)
    (models / "cut.safetensors").write_bytes(b"\x10\0\0\0")
    own = program.home / "presets" / "generate"
    own.mkdir(parents=True)
    (own / "odd.yaml").write_text("schema: 1\nvalues: {stepz: 3}\n")
    told = program.json("doctor")
    assert told["ok"] is True
    rows = {row["name"]: row for row in told["rows"]}
    assert {
        "python", "libraries", "torch", "gpu", "terminal", "tmux", "logout", "home", "models",
        "pictures", "disk", "checkpoints", "presets", "backend",
    } <= set(rows)  # fmt: skip
    assert {row["level"] for row in told["rows"]} <= {"ok", "warning", "problem"}
    assert rows["home"]["text"] == str(program.home)
    assert rows["checkpoints"]["text"].startswith("demo (demo)")
    assert rows["checkpoint"]["level"] == rows["preset"]["level"] == "warning"
    assert str(models / "cut.safetensors") in rows["checkpoint"]["text"]
    assert "unknown key “stepz”" in rows["preset"]["text"]


def test_a_wrong_config_is_a_problem_and_hides_nothing(program: Program) -> None:
    program.home.mkdir()
    (program.home / "config.yaml").write_text("a1111x: 3\n")
    done = program("doctor", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    bad = [row for row in told["rows"] if row["level"] == "problem"]
    assert [row["name"] for row in bad] == ["models"] and "“a1111x”" in bad[0]["text"]
    assert told["ok"] is False and told["rows"][-1]["name"] in ("gpu", "precision")


def test_a_home_that_cannot_be_used_is_a_problem(program: Program, tmp_path: Path) -> None:
    program.home = tmp_path / "file"
    program.home.touch()
    done = program("doctor")
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith("problem"))
    assert "folders" in line and "Traceback" not in done.stdout + done.stderr


def test_in_tmux_it_prints_the_lines_to_add(program: Program) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is missing: apt install tmux")
    log = program.home.parent / "doctor.txt"
    words = " ".join(f"'{word}'" for word in program.command("doctor"))
    tmux = ["tmux", "-L", f"sdtui-doctor-{os.getpid()}", "-f", "/dev/null"]
    done = subprocess.run(
        [*tmux, "new-session", "-x", "120", "-y", "40", "-d",
         f"{words} >'{log}' 2>&1; tmux wait-for -S done", ";", "wait-for", "done"],
        env=program.environment(), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    text = log.read_text()
    for line in ("set -g allow-passthrough on", "set -s set-clipboard on"):
        assert line in text, text


# ---------------------------------------------------------------- machines we do not have

CARD = {"driver": "570.1", "cards": [{"name": "RTX 2070", "total_bytes": 8 << 30,
                                      "free_bytes": 7 << 30}]}  # fmt: skip
TORCH = {"version": "2.13.0", "cuda": "13.0", "gpus": 1, "bf16": False, "threads": 8}


def levels(torch: dict[str, object], card: dict[str, object]) -> dict[str, str]:
    return {row.name: row.level for row in machine.torch_rows({**TORCH, **torch}, card)}


def test_a_card_that_torch_can_use() -> None:
    rows = {row.name: row for row in machine.torch_rows(TORCH, CARD)}
    assert {row.level for row in rows.values()} == {"ok"}
    assert rows["gpu"].text == "RTX 2070, 7.0 of 8.0 GiB free, driver 570.1"
    assert rows["precision"].text.startswith("fp16")


@pytest.mark.parametrize(
    ("torch", "card", "name", "level"),
    [
        ({"cuda": None, "gpus": 0}, CARD, "torch", "problem"),
        ({"gpus": 0}, CARD, "torch", "problem"),
        ({"gpus": 0}, {"error": "NVML Shared Library Not Found"}, "gpu", "warning"),
        ({"bf16": True}, CARD, "precision", "ok"),
    ],
)
def test_cards_and_builds_that_do_not_fit(
    torch: dict[str, object], card: dict[str, object], name: str, level: str
) -> None:
    assert levels(torch, card)[name] == level


def names(rows: list[Row]) -> dict[str, str]:
    return {row.name: row.level for row in rows}


def test_terminals() -> None:
    good = Abilities(asked=True, answered=True, name="kitty", version=(0, 41), kitty=True,
                     truecolor=True)  # fmt: skip
    rows = list(terminal_rows(good, "xterm-kitty", (160, 48)))
    assert set(names(rows).values()) == {"ok"}
    assert rows[0].text == "kitty 0.41, 160x48" and "kitty graphics" in rows[-1].text
    assert names(list(terminal_rows(good, "xterm-kitty", (40, 10))))["terminal"] == "warning"
    plain = Abilities(asked=True, answered=True, utf8=False)
    found = names(list(terminal_rows(plain, "xterm", (80, 24))))
    assert (found["locale"], found["colours"]) == ("warning", "warning")
    assert names(list(terminal_rows(Abilities(), "dumb", (80, 24)))) == {"terminal": "warning"}


def test_tmux_options() -> None:
    good = {"allow-passthrough": "on", "set-clipboard": "on", "focus-events": "on",
            "escape-time": "10"}  # fmt: skip
    assert tmux_row("tmux 3.4", good, "xterm-kitty", ["RGB"]).level == "ok"
    row = tmux_row("tmux 3.4", {**good, "escape-time": "500"}, "xterm-256color", ["256"])
    assert row.level == "warning"
    assert row.advice[0].startswith('set -as terminal-features ",xterm-256color:RGB"')
    assert row.advice[1].startswith("set -s escape-time 50")


def test_processes_that_end_at_logout() -> None:
    row = logout_row(True, "anna")
    assert row.level == "warning"
    assert "KillUserProcesses=no" in row.advice and "[Login]" in row.advice
    for kills, user in ((False, "anna"), (None, "anna"), (True, "root")):
        assert logout_row(kills, user).level == "ok"
