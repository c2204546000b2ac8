"""Whole screens as text, at three sizes. What differs is to be looked at, then taken over:

    SDTUI_UPDATE_GOLDEN=1 python -m pytest tests/tui/test_tui_golden.py
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from sdtui import demo
from sdtui.backend import protocol as p
from sdtui.tui.pictures.picture import Picture
from sdtui.tui.state import AppState
from tests.backend.conftest import House, enqueue
from tests.tui.sitting import Sitting, sitting

GOLDEN = Path(__file__).with_name("golden")
SIZES = [(80, 24), (120, 36), (160, 48)]
UPDATE = bool(os.environ.get("SDTUI_UPDATE_GOLDEN"))  # now: tests see no settings of ours
GIB = 1 << 30
MACHINE = p.MonitorReading(
    device="GPU", vram_used_bytes=5 * GIB, vram_total_bytes=8 * GIB, utilisation_percent=97,
    temperature_c=71, power_w=180, ram_used_bytes=9 * GIB, ram_total_bytes=32 * GIB,
    backend_rss_bytes=2 * GIB, cpu_percent=12,
)  # fmt: skip

each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@pytest.fixture(autouse=True)
def _always_the_same(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine, a demo model and presets that never change."""
    monkeypatch.setattr(AppState, "monitor", property(lambda _: MACHINE, lambda *_: None))
    model = house.places.home / "a-model"
    for part, config in (("unet", {"sample_size": 64}), ("vae", {"block_out_channels": [1] * 4})):
        (model / part).mkdir(parents=True)
        (model / part / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(demo, "model_dir", lambda: model)


def compare(me: Sitting, name: str, size: tuple[int, int], home: Path) -> None:
    """The screen against its golden file, the home folder's random name aside."""
    text = me.screen_text().replace(str(home), "/home/me/sdtui-home-folder"[: len(str(home))])
    text = re.sub(r"after \d s", "after 0 s", text)
    text = "\n".join(line.rstrip() for line in text.split("\n")) + "\n"
    path = GOLDEN / f"{name}-{size[0]}x{size[1]}.txt"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    assert text == expected, f"{path.name} differs; see the head of this file"


@each_size
async def test_quiet_screens(house: House, size: tuple[int, int]) -> None:
    async with sitting(house, size=size) as me:
        await me.drawn()
        compare(me, "first-start", size, house.places.home)
        await me.press("f9", "5")
        compare(me, "presets", size, house.places.home)
        await me.press("escape")
        await me.go_to("cfg_scale")
        await me.press("f1")
        compare(me, "help", size, house.places.home)
        await me.press("escape")
        await a_picture(me)
        await settled(me)
        compare(me, "generate-blocks", size, house.places.home)


@each_size
async def test_busy_screens(house: House, size: tuple[int, int]) -> None:
    """Pictures are words here."""
    async with sitting(house, size=size, pictures="off") as me:
        await a_picture(me)
        await settled(me)
        compare(me, "generate-off", size, house.places.home)
        await busy(house, me)
        await settled(me)
        compare(me, "working", size, house.places.home)
        await me.press("ctrl+q")
        compare(me, "quit", size, house.places.home)
        await me.press("escape", "f7", "down", "down", "down")
        compare(me, "queue", size, house.places.home)


async def a_picture(me: Sitting) -> None:
    """One picture is made. The scripted runner's has one pixel; this one has a shape."""
    await me.ended(await me.make("1girl, blue hair, steps=1"))
    picture = Image.new("RGB", (48, 32), (200, 120, 40))
    picture.paste((20, 40, 160), (12, 8, 36, 24))
    picture.save(me.state.pictures[0])
    await me.press("ctrl+l")


async def busy(house: House, me: Sitting) -> None:
    """A job has failed, one runs and stays at its last step, two wait."""
    client = await house.connect(start=False)
    failed = await enqueue(client, "steps=1 fail=the_disk_is_full")
    running = await enqueue(client, "previews=1 steps=8 wait=/nowhere", batch_count=3)
    await enqueue(client, "1girl, red hair")
    await enqueue(client, "a landscape, hills")
    await me.until(lambda: len(me.state.waiting) == 2 and me.state.jobs[failed].state == "failed")
    await me.until(lambda: me.state.jobs[running].progress.step == 8)
    await me.until(lambda: me.state.jobs[running].preview)
    me.app.clear_notifications()


async def settled(me: Sitting) -> None:
    """All that was told is on the screen."""
    me.app.generate_screen.tell()
    await me.drawn()
    await me.until(lambda: all(picture.ready for picture in me.app.screen.query(Picture)))
