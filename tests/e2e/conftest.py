"""The program as a person meets it: in tmux, with the demo model, keys in and pictures out."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from screenshots.terminal import Terminal
from sdtui.library import session
from sdtui.library.places import Places, find_places
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Settings
from tests.program import SMALL, Program

Open = Callable[..., Terminal]
"""Makes a terminal with the program in it: columns, rows, more environment."""


@pytest.fixture(scope="session", autouse=True)
def _tmux() -> None:
    if shutil.which("tmux") is None:
        pytest.skip("these tests need tmux: apt-get install tmux")


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """sdtui with a home of its own, and a backend that has the model in memory."""
    folder = Path(tempfile.mkdtemp(prefix="sdtui-e2e-"))
    program = Program(folder / "home")
    try:
        made = program("generate", "1girl, red hair", *SMALL)
        assert made.returncode == 0, made.stderr
        yield program
    finally:
        program("stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def places(program: Program) -> Places:
    return find_places(program.home)


@pytest.fixture
def open_terminal(program: Program) -> Iterator[Open]:
    """Opens terminals and closes them after the test."""
    opened: list[Terminal] = []

    def open_one(columns: int = 120, rows: int = 36, **environment: str) -> Terminal:
        argv = [sys.executable, "-m", "sdtui", "--home", str(program.home)]
        terminal = Terminal(argv, columns, rows, {**program.environment(), **environment})
        opened.append(terminal)
        return terminal

    yield open_one
    for terminal in opened:
        terminal.close()
    # What hangs up saves its settings: it must not do so in the next test.
    command = ["-m", "sdtui", "--home", str(program.home)]
    while any(process.info["cmdline"] and process.info["cmdline"][1:] == command
              for process in psutil.process_iter(["cmdline"])):  # fmt: skip
        time.sleep(0.05)


@pytest.fixture
def small(places: Places) -> Places:
    """The last settings were small pictures of few steps, and an empty prompt."""
    return remember(places, steps=6)


@pytest.fixture
def long(places: Places) -> Places:
    """The last settings were a picture of many steps."""
    return remember(places, steps=100)


def remember(places: Places, **values: object) -> Places:
    settings: Settings[GenerateParams] = Settings(GenerateParams)
    session.save(places, session.Session(settings.edit(width=64, height=64, **values)))
    return places
