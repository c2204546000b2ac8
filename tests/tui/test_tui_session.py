"""What is remembered from one start to the next, and what happens when it cannot be read."""

from __future__ import annotations

import json

import pytest

from sdtui.tui.pictures.abilities import Abilities
from sdtui.tui.themes import DARK, LIGHT
from tests.backend.conftest import House
from tests.tui.sitting import sitting


async def test_prompt_settings_and_their_sources_return(house: House) -> None:
    async with sitting(house) as me:
        await me.write("a [cat] “ß” 猫")
        await me.press("escape", "1", "enter")
        await me.go_to("cfg_scale")
        await me.press("right")
        before = (me.app.settings.values(), me.source("steps"), me.source("cfg_scale"))
    async with sitting(house) as me:
        assert (me.app.settings.values(), me.source("steps"), me.source("cfg_scale")) == before
        assert before[0]["prompt"] == "a [cat] “ß” 猫" and "a [cat] “ß” 猫" in me.screen_text()
        assert me.source("steps") == "preset Draft"


async def test_settings_are_kept_before_the_program_ends(house: House) -> None:
    """A hangup leaves no time."""
    async with sitting(house) as me:
        await me.write("not lost")
        await me.until(house.places.session_file.exists)
        stored = json.loads(house.places.session_file.read_text())
        assert stored["edits"]["prompt"] == "not lost"


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"schema": 99}', '{"schema": 1, "layers": [], "edits": {"steps": -4}}', "\x00"],
)
async def test_a_session_that_cannot_be_read_is_set_aside(house: House, content: str) -> None:
    path = house.places.prepare().session_file
    path.write_text(content)
    async with sitting(house) as me:
        assert "The last settings could not be read" in me.said()
        assert str(path.with_suffix(".broken")) in me.said()
        assert path.with_suffix(".broken").read_text() == content
        assert (me.value("checkpoint"), me.value("steps")) == ("demo", 20)
        await me.ended(await me.make("steps=1"))
        assert me.state.pictures


async def test_the_theme_follows_the_terminal_and_then_the_person(house: House) -> None:
    bright = Abilities(truecolor=True, dark=False)
    async with sitting(house, abilities=bright) as me:
        assert me.app.theme == LIGHT.name
        await me.press("ctrl+t")
        assert me.app.theme == DARK.name
    async with sitting(house, abilities=bright) as me:
        assert me.app.theme == DARK.name
        await me.press("ctrl+t")
    async with sitting(house) as me:
        assert me.app.theme == LIGHT.name
