"""The palette, F1, themes, sizes: what makes the program usable without a manual."""

from __future__ import annotations

import re
from typing import Any

import pytest
from textual.widgets import Static

from sdtui.params.generate import GenerateParams
from sdtui.tui import actions, keymap
from sdtui.tui.dialogs.help import Help
from sdtui.tui.screens.queue import JobList
from sdtui.tui.themes import THEMES
from sdtui.tui.widgets.canvas import Caption
from sdtui.tui.widgets.form import Rows
from tests.backend.conftest import House
from tests.tui.sitting import Sitting, sitting


def help_text(me: Sitting) -> str:
    assert isinstance(me.app.screen, Help)
    return "\n".join(str(part.content) for part in me.app.screen.query(Static))


async def test_every_action_is_in_the_palette_and_does_what_its_key_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: set[str] = set()

    async def record(action: str, *_: object, **__: object) -> bool:
        called.add(action.removeprefix("app.").partition("(")[0])
        return True

    async with sitting(house, attached=False) as me:
        rows = list(actions.commands(me.app))
        monkeypatch.setattr(me.app, "run_action", record)
        for title, _, call in rows:
            if not title.startswith("Preset: "):
                call()
        ours = {name[7:] for name in vars(actions.Actions) if name.startswith("action_")}
        await me.until(lambda: called >= ours)
        assert len({title for title, _, _ in rows}) == len(rows)
        everywhere = {binding.action.partition("(")[0] for binding in keymap.GLOBAL}
        assert everywhere - {"command_palette"} <= ours


async def test_the_palette_finds_and_runs_an_action(house: House) -> None:
    async with sitting(house) as me:
        await me.press("ctrl+p", *"preset draft")
        await me.until(lambda: "Eight quick steps" in me.screen_text())
        await me.press("enter")
        await me.until(lambda: me.value("steps") == 8)
        await me.press("ctrl+p", *"queue screen", "enter")
        await me.until(lambda: me.app.screen is me.app.get_screen("queue"))


async def test_f1_explains_the_focused_thing_and_its_keys(house: House) -> None:
    async with sitting(house) as me:
        await me.ended(await me.make("steps=1"))
        seen = {}
        for name, expected in (
            ("prompt", []), ("negative_prompt", []), ("rows", ["Much more", "Put back"]),
            ("canvas", ["Copy scp line", "Its settings"]),
        ):  # fmt: skip
            me.app.screen.query_one(f"#{name}").focus()
            await me.press("f1")
            seen[name] = help_text(me)
            assert all(what in seen[name] for what in expected), seen[name]
            assert "Make picture" in seen[name] and "Quit" in seen[name]
            await me.press("escape")
            assert me.dialog == "" and me.focused() == name
        await me.press("f7", "f1")
        seen["jobs"] = help_text(me)
        assert "Sooner" in seen["jobs"] and "Pause/go on" in seen["jobs"]
        firsts = {name: text.split("\n")[0] for name, text in seen.items()}
        assert len(set(firsts.values())) == len(firsts), firsts


async def test_help_of_a_field_is_the_schemas(house: House) -> None:
    async with sitting(house) as me:
        for name in ("cfg_scale", "seed"):
            await me.go_to(name)
            await me.press("f1")
            assert GenerateParams.model_fields[name].description in help_text(me)
            await me.press("f1")
            assert me.dialog == ""


async def test_a_question_mark_helps_outside_text_fields_only(house: House) -> None:
    async with sitting(house) as me:
        await me.press("question_mark")
        assert me.dialog == "" and me.value("prompt") == "?"
        await me.press("escape", "question_mark")
        assert me.dialog == "Help"


def test_every_key_of_ours_says_what_it_does() -> None:
    for kind in (Rows, Caption, JobList):
        for binding in kind.BINDINGS:
            assert binding.description or not binding.show, (kind, binding)
    assert all(binding.description and binding.id for binding in keymap.GLOBAL)
    ids = [binding.id for binding in keymap.GLOBAL]
    assert len(set(ids)) == len(ids)
    keys = [key for binding in keymap.GLOBAL for key in binding.key.split(",")]
    assert len(set(keys)) == len(keys)
    taken = {"ctrl+b", "ctrl+a", "ctrl+i", "ctrl+m", "ctrl+h", "ctrl+z", "ctrl+c"}
    assert not taken & set(keys), "tmux, screen, terminals and Textual have these"


async def test_tab_goes_round(house: House) -> None:
    async with sitting(house, attached=False) as me:
        order = []
        for _ in range(4):
            order.append(me.focused())
            await me.press("tab")
        assert order == ["prompt", "negative_prompt", "rows", "canvas"]
        assert me.focused() == "prompt"
        await me.press("shift+tab")
        assert me.focused() == "canvas"


async def test_keys_of_the_screens_close_dialogs(house: House) -> None:
    async with sitting(house) as me:
        for opener in ("f9", "ctrl+p"):
            await me.press("f2", opener)
            assert me.dialog, opener
            await me.press("f7")
            assert me.app.screen is me.app.get_screen("queue"), opener
            await me.press("f2")
            assert me.app.screen is me.app.generate_screen, opener


async def test_making_a_picture_from_within_a_dialog_does_nothing(house: House) -> None:
    async with sitting(house) as me:
        await me.press("f9", "ctrl+j")
        await me.press("escape")
        assert not me.state.jobs


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_themes_can_be_read(theme: Any) -> None:
    """WCAG's 4.5 for text, 3 for what is large or a sign."""
    for ground in (theme.background, theme.surface, theme.panel):
        assert contrast(theme.foreground, ground) >= 4.5
        for colour in (theme.accent, theme.success, theme.warning, theme.error):
            assert contrast(colour, ground) >= 3, (colour, ground)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two #rrggbb colours (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("size", [(40, 10), (20, 5), (220, 60)])
async def test_no_size_breaks_it(house: House, size: tuple[int, int]) -> None:
    async with sitting(house, size=size) as me:
        job = await me.make("previews=1 steps=30 step_s=0.03")
        for key in ("f7", "f9", "f1", "f2", "tab", "tab", "u", "end", "tab", "enter"):
            await me.press(key)
            assert len(me.screen_text().split("\n")) == size[1]
        assert (await me.ended(job)).state == "done"


async def test_a_screen_too_small_says_so_and_comes_back(house: House) -> None:
    async with sitting(house, size=(40, 10)) as me:
        said = " ".join(me.screen_text().split())
        needs = re.search(r"This terminal is 40x10; sdtui needs (\d+)x(\d+)", said)
        assert needs, said
        await me.pilot.resize_terminal(int(needs[1]), int(needs[2]))
        await me.until(lambda: "Prompt" in me.screen_text())
        assert "needs" not in me.screen_text()
        await me.press("x")
        assert me.value("prompt") == "x"


async def test_resizing_keeps_prompt_focus_and_picture(house: House) -> None:
    async with sitting(house) as me:
        await me.ended(await me.make("steps=1 kept"))
        for size in ((80, 24), (160, 48), (120, 36)):
            await me.pilot.resize_terminal(*size)
            await me.until(lambda size=size: me.app.size == size)
            picture = await me.drawn()
            assert picture.painting is not None
            columns, rows = picture.painting.cells
            assert columns <= picture.size.width and rows <= picture.size.height
            assert picture.size.width == columns or picture.size.height == rows, "as large as fits"
            assert "kept" in me.screen_text() and me.focused() == "prompt"
