"""What is seen: a program with pictures in a terminal that decodes graphics back to pixels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_terminal import FakeTerminal, TmuxTerminal
from PIL import Image, ImageChops, ImageDraw, ImageStat

APP = [sys.executable, str(Path(__file__).with_name("picture_app.py"))]
CELL = (8, 16)


def draw(path: Path, size: tuple[int, int], colour: tuple[int, int, int]) -> Path:
    """A picture that shows when it is turned, stretched, cropped or mixed up with another."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image = ImageChops.multiply(image, Image.new("RGB", size, colour))
    pen = ImageDraw.Draw(image)
    width, height = size
    pen.rectangle((0, 0, width // 4, height // 4), (255, 255, 255))
    pen.rectangle((width * 3 // 4, height // 2, width, height), colour)
    image.save(path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [
        draw(folder / "large.png", (640, 640), (255, 80, 40)),
        draw(folder / "small.png", (64, 64), (60, 200, 255)),
        draw(folder / "wide.png", (600, 200), (120, 255, 60)),
        draw(folder / "high.png", (200, 500), (255, 60, 255)),
    ]


def shown(terminal: FakeTerminal) -> None:
    """Wait until a picture is on the screen and nothing more comes."""
    terminal.wait(terminal.placeholders, "a picture")
    terminal.settle()


def largest(size: tuple[int, int], box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Where a picture of that size belongs in a box of pixels (left, top, right, bottom)."""
    left, top, right, bottom = box
    scale = min((right - left) / size[0], (bottom - top) / size[1])
    width, height = size[0] * scale, size[1] * scale
    x, y = left + (right - left - width) / 2, top + (bottom - top - height) / 2
    return round(x), round(y), round(x + width), round(y + height)


def assert_shows(terminal: FakeTerminal, path: Path, box: tuple[int, int, int, int]) -> None:
    """The screen's pixels are the file's: as large as the box (pixels) allows, centred, and
    nothing beside it."""
    pixels = terminal.pixels()
    bounds = pixels.getbbox()
    assert bounds is not None, terminal.text()
    with Image.open(path) as file:
        expected = largest(file.size, box)
        # Pictures start at whole cells, hence half a cell of tolerance.
        for got, want, cell in zip(bounds, expected, CELL * 2, strict=True):
            assert abs(got - want) <= cell // 2 + 1, (bounds, expected)
        seen = pixels.crop(bounds)
        assert (
            abs(seen.width / seen.height - file.width / file.height)
            < 0.02 * file.width / file.height
        )
        wanted = file.convert("RGB").resize(seen.size, Image.Resampling.BILINEAR)
    difference = ImageStat.Stat(ImageChops.difference(seen, wanted)).mean
    assert max(difference) < 2.0, difference
    assert terminal.faults == []


def full(
    terminal: FakeTerminal, first_row: int = 1, last_row: int | None = None
) -> tuple[int, int, int, int]:
    """The rows of the screen below the text field, in pixels."""
    columns, rows = terminal.size
    return 0, first_row * CELL[1], columns * CELL[0], (last_row or rows) * CELL[1]


@pytest.fixture
def kitty(pictures: list[Path]) -> Iterator[FakeTerminal]:
    with FakeTerminal([*APP, "auto", *map(str, pictures)]) as terminal:
        shown(terminal)
        yield terminal


def command(terminal: FakeTerminal, word: str) -> int:
    """Type a command of picture_app and let the screen settle; the bytes that came."""
    terminal.send(f"{word}\r")
    return terminal.settle()


def test_every_file_is_seen_pixel_for_pixel_and_sent_once(
    kitty: FakeTerminal, pictures: list[Path]
) -> None:
    for path in [*pictures, *pictures]:
        assert_shows(kitty, path, full(kitty))
        command(kitty, "next")
    assert kitty.sent == len(pictures), "a second look sends nothing"
    command(kitty, "again")
    assert kitty.sent == len(pictures), "an unchanged file is not sent again"
    assert command(kitty, "again") < 3000, "nor painted again"


def test_resizing_places_the_same_picture_anew(kitty: FakeTerminal, pictures: list[Path]) -> None:
    sent = kitty.sent
    for size in ((100, 30), (60, 40), (81, 25)):
        kitty.resize(*size)
        kitty.settle()
        assert_shows(kitty, pictures[0], full(kitty))
    assert kitty.sent == sent


def test_a_much_smaller_place_gets_a_smaller_picture(kitty: FakeTerminal) -> None:
    before = kitty.graphics_bytes
    kitty.resize(24, 9)
    kitty.settle()
    assert max(held.image.width for held in kitty.images.values() if held.cells["1"][0] < 24) <= 320
    assert 0 < kitty.graphics_bytes - before < 30_000
    assert kitty.faults == []


def test_a_replaced_file_takes_the_old_ones_place(kitty: FakeTerminal, tmp_path: Path) -> None:
    path = Path(str(tmp_path / "preview.png"))
    terminal = FakeTerminal([*APP, "auto", str(draw(path, (64, 64), (255, 0, 0)))])
    with terminal:
        shown(terminal)
        assert_shows(terminal, path, full(terminal))
        for step in range(12):
            new = draw(tmp_path / "new.png", (64, 64), (20 * step, 255, 255 - 20 * step))
            new.replace(path)
            terminal.send("again\r")
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                terminal.pump(0.01)
                # The old picture is there until the new one is: never an empty place.
                numbers = {number for number, _, _ in terminal.placeholders().values()}
                assert numbers and numbers <= set(terminal.images)
        terminal.settle()
        assert_shows(terminal, path, full(terminal))
        assert len(terminal.images) == 1, "replaced pictures are deleted"


def test_nothing_is_left_behind(kitty: FakeTerminal, pictures: list[Path]) -> None:
    command(kitty, "none")
    assert kitty.placeholders() == {}
    assert "no picture yet" in kitty.text()
    command(kitty, "next")
    assert_shows(kitty, pictures[1], full(kitty))
    command(kitty, "remove")
    assert kitty.placeholders() == {}
    kitty.send("quit\r")
    assert kitty.exit_code() == 0
    assert kitty.images == {}, "deleted from the terminal's memory"
    assert kitty.placeholders() == {} and kitty.faults == []


def test_a_caption_a_window_and_a_clipped_side(kitty: FakeTerminal, pictures: list[Path]) -> None:
    command(kitty, "caption")
    assert_shows(kitty, pictures[0], full(kitty, last_row=kitty.size[1] - 1))
    assert "under the picture" in kitty.text().splitlines()[-1]
    whole = kitty.pixels()
    command(kitty, "window")
    covered = kitty.pixels()
    assert "a window" in kitty.text()
    middle = (kitty.size[0] // 2 * CELL[0], kitty.size[1] // 2 * CELL[1])
    assert covered.getpixel(middle) == (0, 0, 0)
    assert covered.crop((0, 0, 640, 160)).tobytes() == whole.crop((0, 0, 640, 160)).tobytes()
    kitty.send("x")
    kitty.settle()
    assert kitty.pixels().tobytes() == whole.tobytes()
    command(kitty, "side")
    moved = ImageChops.offset(whole, -10 * CELL[0], 0)
    assert kitty.pixels().tobytes() == moved.tobytes()
    assert kitty.sent == 1


def test_a_scrolled_column_moves_the_pixels(kitty: FakeTerminal, pictures: list[Path]) -> None:
    command(kitty, "column")
    high = 12 * CELL[1]

    def column(scrolled_rows: int) -> Image.Image:
        """What belongs on the screen, from the files."""
        canvas = Image.new("RGB", (640, high * len(pictures)))
        for place, path in enumerate(pictures):
            with Image.open(path) as file:
                left, top, right, bottom = largest(file.size, (0, 0, 640, high))
                part = file.convert("RGB").resize(
                    (right - left, bottom - top), Image.Resampling.BILINEAR
                )
            canvas.paste(part, (left, place * high + top))
        top = scrolled_rows * CELL[1]
        view = Image.new("RGB", (640, 24 * CELL[1]))
        view.paste(canvas.crop((0, top, 640, top + 23 * CELL[1])), (0, CELL[1]))
        return view

    for step in range(4):
        difference = ImageChops.difference(kitty.pixels(), column(step * 6))
        # Half a cell of position and thumbnails of 256 colours: a small mean, nothing grossly off.
        assert max(ImageStat.Stat(difference).mean) < 6, step
        command(kitty, "down")
    assert kitty.faults == []
    assert kitty.sent <= 1 + len(pictures), "scrolling sends nothing twice"


def test_leaving_the_terminal_and_coming_back(kitty: FakeTerminal, pictures: list[Path]) -> None:
    command(kitty, "away")
    assert_shows(kitty, pictures[0], full(kitty))
    assert len(kitty.images) == 1
    kitty.images.clear()  # another program has emptied the terminal's memory
    command(kitty, "renew")
    assert_shows(kitty, pictures[0], full(kitty))


def test_no_color_and_an_old_kitty_get_blocks(pictures: list[Path]) -> None:
    for options in ({"env": {"NO_COLOR": "1"}}, {"name": "kitty(0.26.5)"}):
        with FakeTerminal([*APP, "auto", str(pictures[0])], (40, 12), **options) as terminal:  # type: ignore[arg-type]
            terminal.wait(lambda: "▀" in terminal.text(), "blocks")
            terminal.settle()
            assert terminal.images == {} and terminal.placeholders() == {}
            assert b"38;2;" in terminal.received, "true colour was proved"


def test_off_says_name_and_size(pictures: list[Path]) -> None:
    with FakeTerminal([*APP, "off", str(pictures[2])]) as terminal:
        terminal.wait(lambda: "wide.png, 600x200" in terminal.text(), "words")
        assert terminal.images == {} and "▀" not in terminal.text()


@pytest.mark.parametrize("late_s", [1.1, 2.5])
def test_a_late_answer_is_never_typed(pictures: list[Path], late_s: float) -> None:
    """Late while the program starts, and late while it runs."""
    with FakeTerminal([*APP, "auto", str(pictures[0])], (40, 12), late_s=late_s) as terminal:
        terminal.wait(lambda: "▀" in terminal.text(), "blocks, for nothing is known")
        terminal.watch(late_s)
        terminal.send("typed")
        terminal.settle()
        assert terminal.text().splitlines()[0] == "typed"


TMUX_PLAYED = """#!/bin/sh
case "$1" in
display-message) printf '7\\tkitty(0.41.0)\\txterm-kitty\\tRGB\\t%s\\t1\\n' "$(cat {state})";;
set-option) echo "$@" >> {log}; echo on > {state};;
esac
"""


def test_inside_a_played_tmux_everything_is_wrapped(tmp_path: Path, pictures: list[Path]) -> None:
    state, log = tmp_path / "state", tmp_path / "log"
    state.write_text("off\n")
    program = tmp_path / "tmux"
    program.write_text(TMUX_PLAYED.format(state=state, log=log))
    program.chmod(0o755)
    env = {"TMUX": "/nowhere,1,0", "TMUX_PANE": "%3", "PATH": f"{tmp_path}:{os.environ['PATH']}",
           "TERM": "tmux-256color"}  # fmt: skip
    with TmuxTerminal([*APP, "auto", *map(str, pictures)], env=env) as terminal:
        shown(terminal)
        assert_shows(terminal, pictures[0], full(terminal))
        command(terminal, "next")
        assert_shows(terminal, pictures[1], full(terminal))
        terminal.send("quit\r")
        assert terminal.exit_code() == 0
        assert terminal.images == {} and terminal.faults == []
    assert log.read_text() == "set-option -p -t %3 allow-passthrough on\n"


class Tmux:
    """A tmux server of its own that runs the program."""

    def __init__(self, paths: list[Path]) -> None:
        self.name = f"sdtui-test-{uuid.uuid4().hex[:8]}"
        environment = {k: v for k, v in os.environ.items() if k not in ("TMUX", "COLORTERM")}
        subprocess.run(
            ["tmux", "-L", self.name, "-f", os.devnull, "new-session", "-d", "-s", "main",
             "-x", "80", "-y", "25", *APP, "auto", *map(str, paths)],
            check=True, env=environment | {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self("set-option", "-g", "status", "off")

    def __call__(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self.name, *arguments], check=True, capture_output=True, text=True
        ).stdout

    def attach(self, **options: str) -> FakeTerminal:
        argv = ["tmux", "-u", "-L", self.name, "attach"]
        return FakeTerminal(argv, (80, 25), env={"COLORTERM": "truecolor"}, **options)  # type: ignore[arg-type]


@pytest.fixture
def tmux(pictures: list[Path]) -> Iterator[Tmux]:
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed: apt-get install tmux")
    server = Tmux([pictures[2], pictures[0]])
    yield server
    subprocess.run(["tmux", "-L", server.name, "kill-server"], check=False, capture_output=True)


def test_in_tmux_the_picture_follows_the_attached_terminal(
    tmux: Tmux, pictures: list[Path]
) -> None:
    tmux("set-option", "-as", "terminal-features", ",xterm-256color:RGB")
    with tmux.attach() as first:
        # Started without any terminal, so with blocks; the watcher sees the attached kitty.
        shown(first)
        assert_shows(first, pictures[2], full(first))
        tmux("split-window", "-h", "cat")
        first.wait(
            lambda: first.pixels().getbbox()[2] <= 40 * CELL[0], "the picture in half a window"
        )  # type: ignore[index]
        first.settle()
        assert_shows(first, pictures[2], (0, CELL[1], 40 * CELL[0], 25 * CELL[1]))
        assert "Ga=" not in tmux("display-message", "-p", "-t", "main:0.0", "#{pane_title}")
        tmux("kill-pane", "-t", "main:0.1")
        # What is sent while another window covers ours, tmux drops.
        sent = first.sent
        tmux("new-window", "cat")
        first.watch(1.2)
        tmux("send-keys", "-t", "main:0.0", "next", "Enter")
        first.watch(1.5)
        assert first.sent == sent
        tmux("select-window", "-t", "main:0")
        first.wait(lambda: first.sent > sent, "the picture sent again")
        first.settle()
        assert_shows(first, pictures[0], full(first))
        tmux("detach-client")
        assert first.exit_code() == 0
    with tmux.attach(name="XTerm(379)") as second:
        second.wait(lambda: "▀" in second.text(), "blocks on a terminal without graphics")
        second.settle()
        assert second.images == {} and second.placeholders() == {}
        tmux("detach-client")
        assert second.exit_code() == 0
    with tmux.attach() as third:
        shown(third)
        third.wait(lambda: len(third.images) == 1, "the picture sent to the new terminal")
        third.settle()
        assert_shows(third, pictures[0], full(third))
