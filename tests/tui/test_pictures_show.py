"""`sdtui show`: a picture in the terminal or a pipe, one sentence for what cannot be shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_terminal import FakeTerminal
from PIL import Image

SHOW = [sys.executable, "-m", "sdtui"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    image = Image.new("RGB", (64, 32), (10, 200, 30))
    image.paste((200, 10, 30), (0, 0, 32, 32))
    image.save(path)
    return path


def show(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SHOW, *arguments], capture_output=True, text=True, env={**os.environ, **env}, check=False
    )


def test_in_a_pipe_there_are_blocks_of_80_columns(picture: Path) -> None:
    done = show("show", str(picture))
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, "", 20)
    assert lines[0].startswith("\x1b[48;2;200;10;30m") and "\x1b[48;2;10;200;30m" in lines[0]
    assert lines[0].count(" ") + lines[0].count("▀") == 80


def test_what_cannot_be_shown_is_said_in_a_sentence(tmp_path: Path, picture: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(picture.read_bytes()[:60])
    for path, code, words in (
        (tmp_path / "none.png", 2, f"sdtui: there is no file {tmp_path}/none.png\n"),
        (broken, 1, "sdtui: broken.png is damaged or only half written\n"),
        (tmp_path, 1, f"sdtui: {tmp_path.name} is a folder, not a picture\n"),
    ):
        done = show("show", str(path))
        assert (done.returncode, done.stdout, done.stderr) == (code, "", words)
    done = show("--pictures", "off", "show", str(picture))
    assert (done.returncode, done.stdout) == (0, f"{picture}, 64x32\n")
    done = show("show", str(picture), LC_ALL="en_US.ISO-8859-1", PYTHONUTF8="0")
    assert done.returncode == 1 and "UTF-8" in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    ("name", "env", "begin"),
    [
        ("kitty(0.41.0)", {}, b"\x1b_Ga=T"),
        ("XTerm(379)", {}, b"\x1b[48;2;200;10;30m"),
        ("", {}, b"\x1b[48;5;"),
        ("kitty(0.41.0)", {"TMUX": "/nowhere,1,0", "COLORTERM": "truecolor"}, b"\x1b[48;"),
    ],
)
def test_in_a_terminal_it_fits_and_nothing_is_typed(
    name: str, env: dict[str, str], begin: bytes, picture: Path
) -> None:
    shell = ["sh", "-c", f"{sys.executable} -m sdtui show {picture}; stty -echo; cat"]
    with FakeTerminal(shell, (40, 12), name=name, env=env) as terminal:
        terminal.wait(lambda: begin in terminal.received, "the picture")
        terminal.settle(0.6)
        drawn = bytes(terminal.received)
        if begin.startswith(b"\x1b_G"):
            assert drawn.count(b"c=40,r=1") == 10, "a strip of pixels for each of 10 lines"
        else:
            assert b"\x1b_Ga=T" not in drawn
            assert len([line for line in terminal.text().splitlines() if line.strip()]) <= 10
            assert "▀" in terminal.text() or b"48;" in drawn
        if "TMUX" in env:
            assert b"\x1b_G" not in drawn
        terminal.send("\n")
        terminal.settle()
        assert not any(word in terminal.text() for word in ("OK", "rgb:", "62;", ">|"))
