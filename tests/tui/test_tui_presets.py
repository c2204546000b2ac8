"""Presets: what one would change is seen before, where each value came from after."""

from __future__ import annotations

from textual.widgets import Input, OptionList, Static

from sdtui.library import presets
from sdtui.tui.dialogs.changes import Changes
from sdtui.tui.widgets.field_help import FieldHelp
from tests.backend.conftest import House
from tests.tui.sitting import Sitting, sitting


def changes(me: Sitting) -> str:
    return me.app.screen.query_one(Changes).plain


async def test_a_digit_shows_the_change_and_enter_applies_it(house: House) -> None:
    async with sitting(house) as me:
        await me.press("1")
        assert me.value("prompt") == "1", "a digit typed into the prompt is a digit"
        await me.press("escape", "1")
        assert me.dialog == "Presets"
        rows = {line.split()[0]: line for line in changes(me).splitlines()}
        assert "20 → 8" in rows["Steps"] and "Automatic → Karras" in rows["Schedule"]
        assert "Width" not in rows, "what it leaves out stays"
        assert me.value("steps") == 20, "nothing has changed yet"
        await me.press("enter")
        assert me.dialog == ""
        assert (me.value("steps"), me.source("steps")) == (8, "preset Draft")
        await me.go_to("steps")
        assert "From preset Draft." in me.app.screen.query_one(FieldHelp).plain
        await me.press("right")
        assert "Set by you; preset Draft has 8." in me.app.screen.query_one(FieldHelp).plain
        assert me.value("prompt") == "1"


async def test_the_same_digit_twice_applies_and_esc_leaves_everything(house: House) -> None:
    async with sitting(house) as me:
        await me.press("f9")
        assert me.dialog == "Presets"
        before = dict(me.app.settings.values())
        await me.press("3", "escape")
        assert me.dialog == "" and me.app.settings.values() == before
        await me.press("f9", "3", "3")
        assert me.dialog == "" and me.value("steps") == 40
        await me.press("f9", "1", "enter")
        assert me.value("steps") == 8
        assert [layer.source for layer in me.app.settings.layers][1:] == ["preset Draft"]


async def test_a_preset_that_changes_nothing_says_so(house: House) -> None:
    async with sitting(house) as me:
        await me.press("f9", "3", "enter", "f9", "3")
        assert "nothing changes" in changes(me)
        await me.press("9")
        assert "No preset has the digit 9" in me.said()


async def test_prefix_and_suffix_go_round_the_prompt_once(house: House) -> None:
    presets_folder = house.places.prepare().presets / "generate"
    presets_folder.mkdir(parents=True, exist_ok=True)
    (presets_folder / "tags.yaml").write_text(
        'schema: 1\nname: Tags\nkey: 7\nprompt_prefix: "best, "\nprompt_suffix: ", sharp"\n'
    )
    async with sitting(house) as me:
        await me.write("a cat")
        for _ in range(2):
            await me.press("escape", "7", "enter")
            assert me.value("prompt") == "best, a cat, sharp"
        assert "best, a cat, sharp" in me.screen_text()


async def test_a_broken_preset_is_named_and_hides_no_other(house: House) -> None:
    folder = house.places.prepare().presets / "generate"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bad.yaml").write_text("schema: 1\nname: Bad\nvalues: {stepz: 3}\n")
    async with sitting(house) as me:
        await me.press("f9")
        text = str(me.app.screen.query_one("#broken", Static).content)
        assert "bad.yaml" in text and "stepz" in text and "“steps”" in text
        assert me.app.screen.query_one(OptionList).option_count == len(
            presets.load_all(house.places)[0]
        )


async def test_the_present_settings_become_a_preset_on_a_digit(house: House) -> None:
    async with sitting(house) as me:
        await me.write("a prompt is not a way of making pictures")
        await me.go_to("steps")
        await me.press("right", "right")
        await me.press("ctrl+s")
        assert me.dialog == "SavePreset"
        dialog = me.screen_text().split("Name")[1]
        assert "Steps: 22" in dialog and "Prompt:" not in dialog
        await me.press("enter")
        assert "needs a name" in me.screen_text()
        await me.press(*"My [b]way", "tab", "x", "9", "enter")
        assert me.dialog == ""
        saved = presets.find(house.places, "9")
        assert (saved.name, saved.values["steps"]) == ("My [b]way", 22)
        assert "prompt" not in saved.values and "seed" not in saved.values
        await me.press("backspace")
        assert me.value("steps") == 20
        await me.press("9")
        assert "My [b]way" in me.screen_text()
        await me.press("enter")
        assert (me.value("steps"), me.source("steps")) == (22, "preset My [b]way")


async def test_a_taken_name_is_replaced_only_when_asked_again(house: House) -> None:
    async with sitting(house) as me:
        me.app.edit("steps", 30)
        await me.press("ctrl+s", *"mine", "enter")
        assert presets.find(house.places, "mine").values["steps"] == 30
        me.app.edit("steps", 31)
        await me.press("ctrl+s", *"mine", "enter")
        assert me.dialog == "SavePreset" and "already" in me.screen_text()
        assert presets.find(house.places, "mine").values["steps"] == 30
        await me.press("x", "backspace", "enter")
        assert me.dialog == "SavePreset", "what was asked about was another name"
        await me.press("enter")
        assert me.dialog == "" and presets.find(house.places, "mine").values["steps"] == 31
        await me.press("ctrl+s", *"other", "escape")
        own = [preset.name for preset in presets.load_all(house.places)[0] if not preset.shipped]
        assert me.dialog == "" and own == ["mine"]


async def test_save_is_reached_from_the_presets(house: House) -> None:
    async with sitting(house) as me:
        await me.press("f9", "s")
        await me.until(lambda: me.dialog == "SavePreset")
        assert isinstance(me.app.focused, Input)
