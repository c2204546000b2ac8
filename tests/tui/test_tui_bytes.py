"""What the line has to carry: bytes for a key press, and while one only watches.

At 120x36 with pictures on screen a cursor move costs less than 2 kB and Tab less than 5 kB;
watching a job at 4 Hz with previews off costs at most 20 kB a second.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from bench.harness import PtyProgram
from sdtui.backend import protocol as p
from sdtui.library.gallery import GalleryWriter
from tests.backend.conftest import REPOSITORY, House, enqueue, over, until

DOWN, LEFT, RIGHT, TAB = "\x1b[B", "\x1b[D", "\x1b[C", "\t"


@pytest.fixture
def terminal(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[PtyProgram]:
    """The program at 120x36, with pictures that no run-length saves."""
    folder = house.places.prepare().outputs
    for number in range(6):
        noise = Image.effect_noise((128, 128), 90)
        Image.merge("RGB", (noise, noise.rotate(90), noise.rotate(180))).save(
            folder / f"{number:05d}-1.png"
        )
    gallery = GalleryWriter(house.places)
    assert gallery.rebuild() == 6
    gallery.close()
    program = PtyProgram(
        [sys.executable, "-m", "sdtui", "--home", str(house.places.home)], columns=120, rows=36,
        env={"PYTHONPATH": os.fspath(REPOSITORY)},
    )  # fmt: skip
    try:
        program.wait_for("Prompt", 60)
        program.wait_for("▀", 60)
        program.quiet(0.4, 20)  # the cursor blinks twice a second
        yield program
    finally:
        program.close()


def most(program: PtyProgram, keys: str, times: int) -> int:
    """The most bytes that one of `times` presses costs.

    Each is made in two rounds and the cheaper one counts: once a second the monitor row says
    something in between.
    """
    rounds = [[_cost(program, keys) for _ in range(times)] for _ in range(2)]
    return max(map(min, *rounds))


def _cost(program: PtyProgram, keys: str) -> int:
    program.quiet(0.2, 3)
    before = len(program.output)
    program.send(keys)
    assert program.read(10), f"{keys!r} changes nothing on the screen"
    program.quiet(0.3, 3)
    return len(program.output) - before


def test_a_key_press_costs_little_with_pictures_on_screen(
    house: House, terminal: PtyProgram
) -> None:
    terminal.send("words to move in")
    terminal.wait_for("in", 20)
    assert most(terminal, LEFT, 3) < 2_000, "cursor move in the prompt"
    assert most(terminal, "x", 3) < 2_000, "a letter"
    assert most(terminal, TAB, 4) < 5_000, "Tab, twice round"
    terminal.send(TAB + TAB)
    terminal.quiet(0.4, 5)
    assert most(terminal, DOWN, 3) < 2_000, "cursor move in the form"
    assert most(terminal, RIGHT, 3) < 2_000, "a step of a value"


async def test_watching_a_job_costs_little(house: House, terminal: PtyProgram) -> None:
    client = await house.connect(start=False)
    await enqueue(client, "steps=150 step_s=0.05", preview_every=0)
    terminal.wait_for("/150", 30)
    terminal.quiet(0.5, 1.5)
    before, started = len(terminal.output), time.monotonic()
    while (passed := time.monotonic() - started) < 4:
        terminal.read(4 - passed)
    rate = (len(terminal.output) - before) / passed
    assert 100 < rate <= 20_000, f"{rate:.0f} bytes a second"


async def test_a_closed_line_ends_the_program_and_nothing_else(
    house: House, terminal: PtyProgram
) -> None:
    client = await house.connect(start=False)
    await client.subscribe()
    job = await enqueue(client, "steps=60 step_s=0.05")
    terminal.send("typed and not lost")
    terminal.wait_for("not lost", 20)
    terminal.quiet(0.3, 2)
    os.close(terminal.fd)
    pid, terminal.fd = terminal.pid, os.open(os.devnull, os.O_RDONLY)
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < end, "it outlives its terminal"
        time.sleep(0.05)
    events = await until(client, over(job))
    assert isinstance(events[-1], p.JobFinished)
    assert "not lost" in house.places.session_file.read_text()
