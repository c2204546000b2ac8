"""Keys in, pictures out; hangups, second terminals, strange terminals, and a sane end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from screenshots.terminal import Terminal
from sdtui.library.places import Places
from tests.e2e.conftest import Open
from tests.program import Program

COLOUR = re.compile(r"\x1b\[[0-9;]*[34]8;2;(\d+;\d+;\d+)")


def row(terminal: Terminal, number: int) -> str:
    """The text in row `number`, from 1; "" if it is empty."""
    return dict(enumerate(terminal.text().split("\n"), 1)).get(number, "")


def colours(terminal: Terminal) -> int:
    """How many colours the screen has."""
    return len(set(COLOUR.findall(terminal.tmux("capture-pane", "-e", "-p"))))


def eventually(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def running(program: Program) -> list[int]:
    return [j["job"] for j in program.json("status")["jobs"] if j["state"] in ("queued", "running")]


def test_a_prompt_becomes_a_picture_on_the_screen_and_on_the_disk(
    open_terminal: Open, small: Places
) -> None:
    before = set(small.outputs.rglob("*.png"))
    terminal = open_terminal()
    terminal.wait_for("Prompt")
    terminal.type("1girl, blue hair")
    terminal.wait_for("blue hair")
    terminal.keys("C-j")
    eventually(lambda: set(small.outputs.rglob("*.png")) - before, "no picture was saved")
    (path,) = set(small.outputs.rglob("*.png")) - before
    terminal.wait_for(re.escape(path.name))
    eventually(lambda: colours(terminal) > 100, f"{colours(terminal)} colours are no picture")
    assert re.search("[▀▄█]", terminal.text())
    with Image.open(path) as image:
        text = image.info["parameters"]
    assert image.size == (64, 64)
    assert text.startswith("1girl, blue hair\n") and "Steps: 6" in text and "Size: 64x64" in text


def test_a_closed_terminal_loses_nothing_and_the_next_one_shows_it(
    open_terminal: Open, long: Places, program: Program
) -> None:
    terminal = open_terminal()
    terminal.wait_for("Prompt")
    terminal.type("1girl, green hair")
    terminal.keys("C-j")
    terminal.wait_for(r"\d+/100")
    (job,) = running(program)
    terminal.close()  # the line drops: every process on it gets SIGHUP
    ended = program.job_ended(job)
    assert ended["state"] == "done"
    path = Path(ended["images"][0]["path"])
    assert path.exists()
    again = open_terminal()
    again.wait_for(re.escape(path.name))
    assert "green hair" in again.text(), "the prompt is there as well"
    eventually(lambda: colours(again) > 100, "its picture is not shown")


def test_a_second_terminal_sees_the_same_job_and_may_cancel_it(
    open_terminal: Open, long: Places, program: Program
) -> None:
    one, two = open_terminal(), open_terminal(80, 24)
    for terminal in (one, two):
        terminal.wait_for("Prompt")
    one.type("1girl")
    one.keys("C-j")
    for terminal in (one, two):
        terminal.wait_for(r"\d+/100")
    two.keys("C-g")
    eventually(lambda: not running(program), "it was not cancelled")
    two.keys("F7")
    one.keys("F7")
    for terminal in (one, two):
        terminal.wait_for(r"–\s+\d+ .*1girl")


def test_the_end_leaves_the_terminal_as_it_was(open_terminal: Open, small: Places) -> None:
    terminal = open_terminal()
    terminal.wait_for("Prompt")
    assert terminal.tmux("display-message", "-p", "#{alternate_on}").strip() == "1"
    terminal.keys("C-q")
    terminal.wait_for(r"\[ended 0\]")
    time.sleep(0.5)  # a late reply of the terminal would be typed now
    lines = [line for line in terminal.text().splitlines() if line.strip()]
    assert lines[0] == "[ended 0]" and len(lines) == 2 and len(lines[1]) <= 2, lines
    state = "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_cursor_flag}"
    assert terminal.tmux("display-message", "-p", state).split() == ["0", "1", "0", "0"]
    terminal.type("stty -a; echo two$((1+1))")
    terminal.keys("Enter")
    text = terminal.wait_for("two2")
    assert "echo two$((1+1))" in text, "what is typed is seen"
    assert re.search(r"(?<!-)icanon", text) and re.search(r"(?<!-)\becho\b", text)


def test_a_busy_program_asks_and_goes_on_without_the_terminal(
    open_terminal: Open, long: Places, program: Program
) -> None:
    terminal = open_terminal()
    terminal.wait_for("Prompt")
    terminal.type("1girl")
    terminal.keys("C-j")
    terminal.wait_for(r"\d+/100")
    terminal.keys("C-q")
    terminal.wait_for("leave it working")
    (job,) = running(program)
    terminal.keys("l")
    terminal.wait_for(r"\[ended 0\]")
    assert program.job_ended(job)["state"] == "done"


def test_resizing_draws_the_whole_screen_again(open_terminal: Open, small: Places) -> None:
    terminal = open_terminal()
    terminal.wait_for("Prompt")
    eventually(lambda: colours(terminal) > 100, "no picture")
    for columns, rows in ((80, 24), (160, 48), (100, 30)):
        terminal.tmux("resize-window", "-x", str(columns), "-y", str(rows))
        eventually(lambda rows=rows: "Quit" in row(terminal, rows), "no footer at the bottom")
        eventually(lambda: colours(terminal) > 100, "no picture")
        lines = terminal.text().split("\n")
        assert sum("Prompt" in line for line in lines) == 1, "nothing is left of the old screen"


@pytest.mark.parametrize(
    ("environment", "said"),
    [({"TERM": "dumb"}, "set TERM to what it is"), ({"LC_ALL": "C"}, "LC_ALL=C.UTF-8 sdtui")],
)
def test_a_terminal_that_cannot_show_it_gets_one_sentence(
    open_terminal: Open, environment: dict[str, str], said: str
) -> None:
    terminal = open_terminal(**environment)
    text = terminal.wait_for(r"\[ended \d+\]")
    assert "[ended 2]" in text and text.startswith("sdtui: ")
    assert said in text.replace("\n", " ").replace("  ", " ")
    assert "Traceback" not in text


def test_forty_columns_say_what_is_needed_and_lose_nothing(
    open_terminal: Open, small: Places
) -> None:
    terminal = open_terminal(40, 10)
    terminal.wait_for("sdtui needs")
    terminal.tmux("resize-window", "-x", "100", "-y", "30")
    terminal.wait_for("Prompt")
    terminal.keys("C-q")
    terminal.wait_for(r"\[ended 0\]")


def test_256_colours_and_no_colour_work(open_terminal: Open, small: Places) -> None:
    for environment in ({"COLORTERM": "", "TERM": "screen-256color"}, {"NO_COLOR": "1"}):
        terminal = open_terminal(**environment)
        terminal.wait_for("Prompt")
        terminal.wait_for("[▀▄█]")
        terminal.keys("C-q")
        terminal.wait_for(r"\[ended 0\]")
