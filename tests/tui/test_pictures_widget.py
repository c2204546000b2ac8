"""The Picture widget and its half blocks: colours, newest wins, errors in words, bounds."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.strip import Strip

from sdtui.tui.pictures import files, painter
from sdtui.tui.pictures.abilities import Abilities
from sdtui.tui.pictures.blocks import blocks
from sdtui.tui.pictures.painter import Painter
from sdtui.tui.pictures.picture import Picture

KITTY = Abilities(asked=True, answered=True, kitty=True, truecolor=True, cell_px=(8, 16))
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (9, 8, 7)]


class Small(App[None]):
    """One picture, or a column of them."""

    CSS = "VerticalScroll Picture { height: 10; }"

    def __init__(self, *pictures: Picture, choice: str = "blocks") -> None:
        super().__init__()
        self.painter = Painter(self, KITTY, choice)
        self.pictures = pictures

    def compose(self) -> ComposeResult:
        if len(self.pictures) == 1:
            yield self.pictures[0]
        else:
            yield VerticalScroll(*self.pictures)

    def on_unmount(self) -> None:
        self.painter.close()


@asynccontextmanager
async def running(
    *pictures: Picture, choice: str = "blocks", size: tuple[int, int] = (40, 20)
) -> Any:
    app = Small(*pictures, choice=choice)
    async with app.run_test(size=size) as pilot:
        await settle(pilot, *pictures[:1])
        yield app, pilot


async def settle(pilot: Pilot[None], *pictures: Picture) -> None:
    """Wait until these pictures show what was asked for last."""
    end = time.monotonic() + 20
    while not all(picture.ready for picture in pictures):
        assert time.monotonic() < end, "not drawn within 20 s"
        await pilot.pause(0.01)
    await pilot.pause()


def halves(strips: list[Strip]) -> Image.Image:
    """The pixels that half blocks show."""
    image = Image.new("RGB", (strips[0].cell_length, len(strips) * 2))
    for y, strip in enumerate(strips):
        x = 0
        for text, style, _ in strip:
            for char in text:
                below = tuple(style.bgcolor.triplet)  # type: ignore[union-attr,arg-type]
                above = tuple(style.color.triplet) if char == "▀" else below  # type: ignore[union-attr,arg-type]
                image.putpixel((x, 2 * y), above)
                image.putpixel((x, 2 * y + 1), below)
                x += 1
    return image


def screen(app: App[None]) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Twice 40x40 pixels, so that a 40x20 screen shows its mean of four exactly."""
    path = tmp_path / "p.png"
    image = Image.effect_noise((40, 40), 100).convert("RGB")
    image.paste(COLOURS[0], (0, 0, 20, 20))
    image.paste(COLOURS[1], (20, 0, 40, 20))
    image.paste(COLOURS[2], (0, 20, 20, 40))
    image.save(path)
    return path


@pytest.fixture(autouse=True)
def _no_developer_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    yield


async def test_cells_have_the_colours_of_the_reduced_picture(picture: Path) -> None:
    async with running(Picture(str(picture))) as (app, _):
        seen = halves(app.screen._compositor.render_strips())
    with Image.open(picture) as file:
        assert seen.tobytes() == file.tobytes(), "40x40 pixels on 40x20 cells: one to one"


def test_a_reduced_picture_keeps_its_colours() -> None:
    large = Image.linear_gradient("L").convert("RGB").resize((600, 400))
    large.paste((250, 20, 20), (0, 0, 300, 200))
    seen = halves(blocks(large, 30, 10))
    assert seen.size == (30, 20)
    wanted = large.resize((30, 20), Image.Resampling.BOX)
    assert max(ImageStat.Stat(ImageChops.difference(seen, wanted)).mean) < 4
    assert seen.getpixel((3, 3)) == (250, 20, 20)


@pytest.mark.parametrize(
    ("size", "box", "whole", "cells"),
    [
        ((512, 512), (60, 30), False, (60, 30)),
        ((512, 512), (200, 30), False, (60, 30)),
        ((512, 768), (60, 30), False, (40, 30)),
        ((64, 64), (60, 30), False, (60, 30)),
        ((600, 200), (80, 23), False, (80, 13)),
        ((600, 200), (80, 23), True, (80, 14)),
        ((10_000, 10), (80, 23), False, (80, 1)),
        ((10, 10_000), (80, 23), False, (1, 23)),
    ],
)
def test_fitting(
    size: tuple[int, int], box: tuple[int, int], whole: bool, cells: tuple[int, int]
) -> None:
    assert files.fit(size, box, (10, 20), whole=whole) == cells


async def test_the_words_of_broken_and_missing_files(tmp_path: Path, picture: Path) -> None:
    cut, text, empty = tmp_path / "cut.png", tmp_path / "text.png", tmp_path / "empty.png"
    cut.write_bytes(picture.read_bytes()[:-800])
    text.write_text("no picture at all")
    empty.touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    shown = Picture(None, empty="nothing yet")
    async with running(shown, size=(60, 9)) as (app, pilot):
        assert "nothing yet" in screen(app)[4]
        for path, words in (
            (cut, "cut.png is damaged or only half written."),
            (text, "text.png is not a picture that can be read."),
            (empty, "empty.png is not a picture that can be read."),
            (folder, "folder is a folder, not a picture."),
            (tmp_path / "gone.png", "gone.png is gone: it was deleted or moved."),
            (tmp_path / "a\x1b[2Jb", "a[2Jb is gone: it was deleted or moved."),
        ):
            shown.show(str(path))
            await settle(pilot, shown)
            assert words in "".join(screen(app)), path
        shown.show(str(picture))
        await settle(pilot, shown)
        assert any("▀" in line for line in screen(app))
        shown.show(None)
        await pilot.pause()
        assert [line.strip() for line in screen(app) if line.strip()] == ["nothing yet"]


async def test_every_kind_of_file_is_shown_in_rgb(tmp_path: Path) -> None:
    grey = Image.new("I;16", (8, 8), 0x8000)
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    palette = Image.new("RGB", (8, 8), (200, 100, 0)).quantize(8)
    turned = Image.new("RGB", (40, 20), (0, 99, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, image, colour in (
        ("grey.png", grey, (128, 128, 128)), ("clear.png", clear, files.UNDER_ALPHA),
        ("palette.gif", palette, (200, 100, 0)), ("turned.jpg", turned, (0, 99, 0)),
    ):  # fmt: skip
        path = tmp_path / name
        image.save(path, **({"exif": exif} if name.startswith("turned") else {}))
        _, loaded = files.load(str(path), (8, 8))
        assert loaded.mode == "RGB"
        assert all(abs(a - b) < 6 for a, b in zip(loaded.getpixel((4, 4)), colour, strict=True)), (
            name
        )
    assert files.size_of(str(tmp_path / "turned.jpg")) == (20, 40)


async def test_the_newest_wins_and_work_does_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for number, colour in enumerate(COLOURS):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (40, 40), colour).save(paths[-1])
    loads: list[str] = []
    load = files.load

    def slow(path: str, limit: tuple[int, int]) -> Any:
        loads.append(path)
        time.sleep(0.05)
        return load(path, limit)

    monkeypatch.setattr(files, "load", slow)
    shown = Picture(str(paths[0]))
    async with running(shown) as (app, pilot):
        loads.clear()
        for turn in range(101):
            shown.show(str(paths[turn % 5]))
            if turn % 10 == 0:
                await pilot.pause(0.01)
        shown.show(str(paths[3]))
        start = time.monotonic()
        await settle(pilot, shown)
        assert time.monotonic() - start < 1.0
        assert len(loads) <= 6, "at most one in work, then the newest"
        assert halves(app.screen._compositor.render_strips()).getpixel((20, 20)) == COLOURS[3]


async def test_a_preview_replaced_again_and_again_sharpens(tmp_path: Path) -> None:
    path = tmp_path / "preview.png"
    Image.new("RGB", (8, 8), (0, 0, 0)).save(path)
    shown = Picture(str(path))
    levels = []
    async with running(shown) as (app, pilot):
        for level in range(10, 210, 10):
            Image.new("RGB", (8, 8), (level, 0, 0)).save(tmp_path / "new.png")
            (tmp_path / "new.png").replace(path)
            shown.show(str(path))
            await pilot.pause(0.03)
            pixel = halves(app.screen._compositor.render_strips()).getpixel((20, 20))
            levels.append(pixel[0])  # type: ignore[index]
        await settle(pilot, shown)
        assert halves(app.screen._compositor.render_strips()).getpixel((20, 20)) == (200, 0, 0)
        assert levels == sorted(levels) and len(set(levels)) >= 5, levels
        assert len(app.painter._blocks) == 1, "older states are not remembered"


async def test_pictures_out_of_view_cost_nothing_until_they_are_scrolled_in(picture: Path) -> None:
    pictures = [Picture(str(picture)) for _ in range(30)]
    async with running(*pictures, choice="kitty") as (app, pilot):
        await settle(pilot, *pictures[:2])
        assert not any(one.painting for one in pictures[4:])
        app.query_one(VerticalScroll).scroll_end(animate=False)
        await settle(pilot, *pictures[-2:])
        assert pictures[-1].painting and not pictures[15].painting
        assert app.painter.held == 1, "one file, one size: sent once"
        await app.query_one(VerticalScroll).remove_children()
        await pilot.pause()
        assert app.painter.held == 1, "kept for a second look, within bounds"
    assert app.painter.held == 0


async def test_what_is_remembered_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painter, "BLOCK_CELLS_KEPT", 3 * 40 * 20)
    shown = Picture(None)
    async with running(shown) as (app, pilot):
        for number in range(12):
            path = tmp_path / f"{number}.png"
            Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
            shown.show(str(path))
            await settle(pilot, shown)
        assert len(app.painter._blocks) == 3
        held = app.painter._blocks.copy()
        shown.show(str(tmp_path / "10.png"))
        await settle(pilot, shown)
        assert app.painter._blocks.keys() == held.keys(), "a second look draws nothing"


async def test_a_widget_removed_while_it_is_drawn_leaves_nothing(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = files.load
    monkeypatch.setattr(files, "load", lambda *a: (time.sleep(0.2), load(*a))[1])
    shown = Picture(None)
    async with running(shown, choice="kitty") as (app, pilot):
        shown.show(str(picture))
        await pilot.pause(0.1)
        await shown.remove()
        await pilot.pause(0.4)
        sent = list(app.painter._store._held.values())
        assert [one.users for one in sent] in ([], [0])


async def test_the_smallest_places(picture: Path) -> None:
    for size in ((1, 1), (2, 1), (1, 3), (40, 2)):
        shown = Picture(str(picture), "a caption longer than the place is wide")
        async with running(shown, size=size) as (app, _):
            assert shown.painting is not None
            assert max(map(len, screen(app))) <= size[0]


def test_term_image_and_pillow_wait_for_the_first_picture() -> None:
    code = (
        "import sys; from sdtui.tui.pictures import abilities, painter, picture; "
        "print([name for name in ('term_image', 'PIL', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
