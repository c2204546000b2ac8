"""The parameter form: stepping, typing, putting back, choosing, and what it says about it."""

from __future__ import annotations

import json
from itertools import product

import pytest
from textual.widgets import Input, OptionList

from sdtui.library.places import Places
from sdtui.params.base import specs
from sdtui.params.generate import GenerateParams
from sdtui.tui.widgets.field_help import FieldHelp
from sdtui.tui.widgets.form import Rows, parsed, stepped
from tests.backend.conftest import House
from tests.tui.sitting import Sitting, sitting

SPECS = specs(GenerateParams)


def a_model(places: Places, name: str, size_px: int) -> None:
    """A diffusers folder as far as the list of checkpoints looks at it."""
    folder = places.prepare().models / "checkpoints" / name
    for part, config in (
        ("unet", {"sample_size": size_px // 8, "cross_attention_dim": 768}),
        ("vae", {"block_out_channels": [1, 1, 1, 1]}),
    ):
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(config))
    (folder / "model_index.json").write_text("{}")


def help_text(me: Sitting) -> str:
    return me.app.screen.query_one(FieldHelp).plain


async def test_arrows_step_hold_at_the_ends_and_keep_to_the_grid(house: House) -> None:
    async with sitting(house) as me:
        me.app.edit("cfg_scale", 7.0)
        await me.go_to("cfg_scale")
        for key, value in (
            ("right", 7.5), ("l", 8.0), ("left", 7.5), ("h", 7.0), ("shift+right", 9.0),
            ("pagedown", 7.0), ("L", 9.0), *[("H", 9.0 - 2 * n) for n in range(1, 5)], ("H", 1.0),
        ):  # fmt: skip
            await me.press(key)
            assert me.value("cfg_scale") == value, key
        assert me.source("cfg_scale") == "you"
        size = me.value("width")
        await me.go_to("width")
        await me.press("right")
        assert me.value("width") == size + 8
        await me.press("shift+right")
        assert me.value("width") in (size + 64, size + 72)
        me.app.edit("width", 64)
        await me.press("left")
        assert me.value("width") == 64
        await me.go_to("steps")
        await me.press("shift+right")
        assert me.value("steps") == 25
        await me.go_to("sampler")
        start = me.value("sampler")
        await me.press("right", "right", "left")
        assert me.value("sampler") in SPECS["sampler"].choices and me.value("sampler") != start
        await me.press("left")
        assert me.value("sampler") == start


def test_a_step_never_leaves_the_range() -> None:
    for spec in SPECS.values():
        if spec.kind not in ("int", "float") or spec.minimum is None or spec.maximum is None:
            continue
        for start, by, big in product((spec.minimum, spec.maximum), (1, -1), (False, True)):
            new = stepped(spec, start, by, big=big, choices=[])
            assert spec.minimum <= new <= spec.maximum, spec.name
            assert not spec.multiple_of or new % spec.multiple_of == 0, spec.name
    assert stepped(SPECS["width"], 500, 1, big=False, choices=[]) == 504
    assert stepped(SPECS["width"], 500, -1, big=False, choices=[]) == 496
    assert stepped(SPECS["deterministic"], False, 1, big=False, choices=[]) is True
    assert parsed(SPECS["cfg_scale"], " 6,5 ") == 6.5


async def test_a_value_is_typed_and_a_wrong_one_says_why_and_changes_nothing(house: House) -> None:
    async with sitting(house) as me:
        old = me.value("width")
        await me.go_to("width")
        for text, why in (
            ("500", "use 496 or 504"), ("9999", "most is 4096"), ("many", "not a whole number"),
            ("", "whole number"),
        ):  # fmt: skip
            await me.press("enter")
            typing = me.app.focused
            assert isinstance(typing, Input) and typing.value == str(old)
            typing.value = text
            await me.press("enter")
            await me.until(lambda why=why: why in help_text(me))
            assert me.value("width") == old
            assert me.app.focused is typing, "one can put it right at once"
            await me.press("escape")
            assert me.value("width") == old and isinstance(me.app.focused, Rows)
        await me.press("enter", *"640", "enter")
        assert me.value("width") == 640
        assert isinstance(me.app.focused, Rows)
        assert "640" in me.screen_text() and "Set by you" in help_text(me)
        await me.press("backspace")
        assert me.value("width") == old
        assert "Set by you" not in help_text(me)


async def test_a_press_while_typing_leaves_the_value(house: House) -> None:
    async with sitting(house) as me:
        scale = me.value("cfg_scale")
        await me.go_to("steps")
        await me.press("enter", *"50", "down")
        assert me.value("steps") == 20
        assert me.app.screen.query_one(Rows).field.name == "cfg_scale"
        await me.press("enter", *"3", "tab")
        assert me.value("cfg_scale") == scale


async def test_unfolding_shows_every_field_and_is_remembered(house: House) -> None:
    async with sitting(house) as me:
        rows = await me.go_to("steps")
        assert "Clip skip" not in me.screen_text()
        await me.press("u")
        assert rows.field.name == "steps", "the cursor stays on its field"
        assert [spec for spec in SPECS.values() if spec.kind != "prompt"] == rows.fields
        await me.press("end")
        assert rows.field is rows.fields[-1]
        assert rows.fields[-1].label in me.screen_text()
        await me.press("home")
        assert rows.field is rows.fields[0]
    async with sitting(house) as me:
        assert me.app.screen.query_one(Rows).unfolded
        await me.go_to("clip_skip")
        await me.press("u")
        assert not me.app.screen.query_one(Rows).unfolded


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_field_under_the_cursor_is_always_in_view_and_explained(
    house: House, size: tuple[int, int]
) -> None:
    async with sitting(house, size=size, attached=False) as me:
        rows = await me.go_to("checkpoint")
        await me.press("u")
        for spec in rows.fields:
            assert rows.field is spec
            line = f"{spec.label:<15}"[:15]
            assert line.rstrip() in me.screen_text(), spec.name
            assert spec.help.split()[0] in help_text(me) and spec.help[:60] in help_text(me)
            await me.press("down")


async def test_a_choice_is_found_by_typing_a_part_of_its_name(house: House) -> None:
    async with sitting(house) as me:
        await me.go_to("sampler")
        await me.press("enter")
        assert me.dialog == "Choose"
        options = me.app.screen.query_one(OptionList)
        assert options.option_count == len(SPECS["sampler"].choices)
        await me.press(*"EULER")
        shown = [str(option.prompt) for option in options.options]
        assert shown and all("euler" in name.casefold() for name in shown)
        await me.press("down", "enter")
        assert me.dialog == "" and me.value("sampler") == shown[1]
        await me.press("enter", *"no such one", "enter")
        assert me.dialog == "Choose", "there is nothing to choose"
        await me.press("escape")
        assert me.dialog == "" and me.value("sampler") == shown[1]
        await me.press("backspace")
        assert me.value("sampler") == SPECS["sampler"].default


async def test_another_checkpoint_brings_its_size_and_its_preset(house: House) -> None:
    a_model(house.places, "large-one", 1024)
    bound = house.places.presets / "generate" / "bound.yaml"
    bound.parent.mkdir(parents=True)
    bound.write_text("schema: 1\nname: Bound\ncheckpoint: large-one\nvalues: {steps: 33}\n")
    async with sitting(house) as me:
        demo_size = me.value("width")
        await me.go_to("width")
        await me.press("right")
        await me.go_to("checkpoint")
        await me.press("enter", *"large", "enter")
        assert me.value("checkpoint") == "large-one"
        assert (me.value("height"), me.source("height")) == (1024, "model large-one")
        assert (me.value("width"), me.source("width")) == (demo_size + 8, "you"), "what I set stays"
        assert (me.value("steps"), me.source("steps")) == (33, "preset Bound")
        await me.go_to("height")
        assert "From model large-one." in help_text(me)
        await me.go_to("checkpoint")
        await me.press("right")
        assert me.value("checkpoint") == "demo"
        assert (me.value("height"), me.source("height")) == (demo_size, "model demo")


async def test_a_wrong_setting_is_shown_where_it_is_when_the_picture_is_asked_for(
    house: House,
) -> None:
    async with sitting(house) as me:
        me.app.change(me.app.settings.edit(clip_skip=99))
        await me.press("f7", "ctrl+j")
        await me.until(lambda: me.app.focused is not None and me.focused() == "rows")
        assert me.app.screen.query_one(Rows).field.name == "clip_skip"
        assert "too large: the most is 12" in help_text(me)
        assert not me.state.jobs


def test_every_parameter_can_be_told_from_the_others() -> None:
    shown = [spec for spec in SPECS.values() if spec.kind != "prompt"]
    assert len({spec.label for spec in shown}) == len(shown)
    assert all(len(spec.label) < 15 for spec in shown), "labels fit their column"
