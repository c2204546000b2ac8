"""A picture's settings, pasted or taken from a picture: shown first, applied if wanted."""

from __future__ import annotations

import pytest

from sdtui.tui.dialogs.changes import Changes
from tests.backend.conftest import House
from tests.tui.sitting import Sitting, sitting

INFOTEXT = (
    "a [red] cat, (masterpiece:1.2)\nNegative prompt: dog\n"
    "Steps: 31, Sampler: Euler a, Schedule type: Karras, CFG scale: 5.5, Seed: 42, Size: 72x136, "
    "Model hash: 0123456789, Model: not-here, Clip skip: 2, RNG: CPU"
)
PROMPT_ONLY = "a photo of stairs, Steps: of stone, and a cat"


def rows(me: Sitting) -> dict[str, str]:
    lines = me.app.screen.query_one(Changes).plain.splitlines()
    return {line[:16].strip(): line[16:] for line in lines}


async def paste(me: Sitting, text: str) -> None:
    await me.paste(text)
    await me.until(lambda: me.dialog == "ImportText")


async def test_pasted_settings_are_shown_as_a_diff_and_applied_by_enter(house: House) -> None:
    async with sitting(house) as me:
        checkpoint = me.value("checkpoint")
        await paste(me, INFOTEXT)
        shown = rows(me)
        assert shown["Steps"].endswith("20 → 31") and shown["Seed"].endswith("→ 42")
        assert shown["Sampler"].endswith("→ Euler a") and shown["Height"].endswith("→ 136 px")
        assert "Checkpoint" not in shown
        assert "not-here" in me.screen_text(), "a model that is missing is named"
        assert me.value("steps") == 20
        await me.press("enter")
        assert me.dialog == ""
        values = me.app.settings.values()
        assert values["prompt"] == "a [red] cat, (masterpiece:1.2)"
        assert values["negative_prompt"] == "dog"
        assert (values["steps"], values["cfg_scale"], values["seed"]) == (31, 5.5, 42)
        assert (values["width"], values["height"], values["schedule"]) == (72, 136, "Karras")
        assert (values["clip_skip"], values["random_source"]) == (2, "CPU")
        assert values["checkpoint"] == checkpoint
        assert me.source("steps") == "you"
        assert "a [red] cat" in me.screen_text()


@pytest.mark.parametrize("line_end", ["\r", "\r\n"])
async def test_line_ends_as_terminals_send_them(house: House, line_end: str) -> None:
    async with sitting(house) as me:
        await paste(me, INFOTEXT.replace("\n", line_end))
        assert rows(me)["Negative prompt"].endswith("→ dog")


async def test_what_is_pasted_outside_the_editors_goes_into_the_prompt(house: House) -> None:
    async with sitting(house) as me:
        await me.press("escape")
        await me.paste("a cat")
        await me.until(lambda: me.value("prompt") == "a cat")


async def test_without_an_editor_the_prompt_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    async with sitting(house) as me:
        await me.press(*"cat", "ctrl+e")
        await me.until(lambda: "No editor" in me.said())
        assert me.value("prompt") == "cat"


async def test_settings_may_be_taken_as_text_or_not_at_all(house: House) -> None:
    async with sitting(house) as me:
        await me.press(*"x ")
        before = me.app.settings.values()
        await paste(me, INFOTEXT)
        await me.press("escape")
        assert me.dialog == "" and me.app.settings.values() == before
        await paste(me, INFOTEXT)
        await me.press("t")
        assert me.value("prompt") == f"x {INFOTEXT}"
        assert me.value("steps") == 20
        await me.press("tab")
        await paste(me, INFOTEXT)
        await me.press("t")
        assert me.value("negative_prompt") == INFOTEXT


@pytest.mark.parametrize("text", [PROMPT_ONLY, "Steps: many", "just words", ""])
async def test_other_text_is_pasted_as_it_is(house: House, text: str) -> None:
    async with sitting(house, attached=False) as me:
        await me.paste(text)
        assert me.dialog == "" and me.value("prompt") == text


async def test_settings_of_a_picture_come_back(house: House) -> None:
    async with sitting(house) as me:
        me.app.edit("seed", 5)
        await me.ended(await me.make("steps=1 one"))
        me.app.edit("seed", 6)
        await me.ended(await me.make("steps=1 two"))
        await me.press("escape", "down", "i")
        assert me.dialog == "ImportText"
        assert rows(me)["Seed"].endswith("6 → 5")
        assert "text" not in me.screen_text().split("Enter")[-1].split("Esc")[0]
        await me.press("t")
        assert me.dialog == "ImportText", "there is no editor that the text was meant for"
        await me.press("enter")
        assert (me.value("seed"), me.value("prompt")) == (5, "steps=1 one")


async def test_a_huge_paste_keeps_the_program_alive(house: House) -> None:
    async with sitting(house, attached=False) as me:
        await me.paste("word, " * 20_000)
        assert len(me.value("prompt")) == 120_000
        await me.press("x")
        assert me.value("prompt").endswith("x")
