"""From a typed prompt to a picture on the screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdtui.params.generate import GenerateParams
from sdtui.tui.widgets.status import JobRow
from tests.backend.conftest import House, enqueue, status
from tests.tui.sitting import Sitting, sitting


async def test_a_typed_prompt_is_queued_with_exactly_the_settings_on_the_screen(
    house: House,
) -> None:
    async with sitting(house) as me:
        await me.press(*"a [cat]", "tab", *"dog")
        await me.go_to("steps")
        await me.press("right")
        await me.press("ctrl+j")
        await me.until(lambda: me.state.pictures)
        client = await house.connect(start=False)
        (job,) = (await status(client)).jobs
        suited = me.app.settings.values()
        expected = {**suited, "prompt": "a [cat]", "negative_prompt": "dog", "steps": 21}
        assert job.params == expected == me.app.settings.params().model_dump()
        assert job.params["width"] != GenerateParams().width, "the demo model's size"


async def test_the_picture_sharpens_then_the_saved_one_stays(house: House, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with sitting(house) as me:
        job = await me.make(f"previews=1 steps=3 wait={gate}")
        await me.until(lambda: me.state.jobs[job.job].progress.step == 3)
        await me.until(lambda: (me.state.running and me.state.running.preview))
        await me.until(lambda: "unfinished" in me.screen_text())
        picture = await me.drawn()
        assert picture.path == str(house.places.previews / f"{job.job}.png")
        assert picture.painting is not None and picture.painting.strips
        assert "unfinished" in me.screen_text()
        assert "3/3" in me.app.screen.query_one(JobRow).plain

        gate.touch()
        ended = await me.ended(job)
        await me.until(lambda: "unfinished" not in me.screen_text())
        picture = await me.drawn()
        assert picture.path == ended.images[0].path
        assert Path(ended.images[0].path).name in me.screen_text()


async def test_a_batch_shows_its_newest_picture_and_lists_all(house: House) -> None:
    async with sitting(house) as me:
        await me.go_to("batch_count")
        await me.press("right", "right", "right")
        job = await me.make("steps=1")
        ended = await me.ended(job)
        paths = [image.path for image in ended.images]
        assert len(set(paths)) == 4
        assert me.state.pictures[:4] == paths[::-1]
        assert (await me.drawn()).path == paths[-1]


async def test_cancel_keeps_the_finished_pictures(house: House) -> None:
    async with sitting(house) as me:
        me.app.edit("batch_count", 60)
        job = await me.make("steps=4 step_s=0.03")
        await me.until(lambda: me.state.jobs[job.job].images)
        await me.press("ctrl+g")
        ended = await me.ended(job)
        assert ended.state == "cancelled"
        assert 1 <= len(ended.images) < 60
        assert all(Path(image.path).exists() for image in ended.images)
        assert (await me.drawn()).path == me.state.pictures[0] == ended.images[-1].path
        await me.press("ctrl+g")
        assert "Nothing is being made" in me.said()


async def test_a_failed_job_says_why_until_the_next_one(house: House) -> None:
    async with sitting(house) as me:
        await me.ended(await me.make("fail=the_[disk]_is_full"))
        assert "the [disk] is full. Try another script" in me.said()
        assert "the [disk] is full" in me.app.screen.query_one(JobRow).plain
        await me.ended(await me.make("steps=1"))
        assert "disk" not in me.app.screen.query_one(JobRow).plain


async def test_arrows_go_through_the_pictures_and_esc_comes_back(house: House) -> None:
    async with sitting(house) as me:
        for _ in range(3):
            await me.ended(await me.make("steps=1"))
        newest, middle, oldest = me.state.pictures
        await me.press("escape")
        assert me.focused() == "canvas", "Esc leaves the editor for the picture"
        for key, shown in (
            ("down", middle), ("j", oldest), ("j", oldest), ("k", middle), ("escape", newest),
        ):  # fmt: skip
            await me.press(key)
            assert (await me.drawn()).path == shown, key


async def test_a_chosen_picture_stays_while_the_next_is_made(house: House, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with sitting(house) as me:
        await me.ended(await me.make("steps=1"))
        await me.ended(await me.make("steps=1"))
        old = me.state.pictures[1]
        client = await house.connect(start=False)
        await enqueue(client, f"previews=1 wait={gate}")
        await me.until(lambda: me.state.running and me.state.running.preview)
        await me.press("escape", "down")
        assert (await me.drawn()).path == old
        gate.touch()
        await me.until(lambda: not me.state.busy)
        assert (await me.drawn()).path == old


async def test_large_view_and_back(house: House) -> None:
    async with sitting(house) as me:
        for _ in range(2):
            await me.ended(await me.make("steps=1"))
        newest, older = me.state.pictures
        await me.press("escape", "enter")
        assert me.dialog == "Zoom"
        assert newest in me.screen_text()
        await me.press("down")
        assert older in me.screen_text()
        await me.press("escape")
        assert me.dialog == ""
        assert (await me.drawn()).path == older


async def test_the_seed_of_a_picture_is_taken_over(house: House) -> None:
    async with sitting(house) as me:
        me.app.edit("seed", 77)
        await me.ended(await me.make("steps=1"))
        me.app.edit("seed", -1)
        await me.press("escape", "s")
        assert me.value("seed") == 77


async def test_pictures_of_earlier_days_are_there_at_the_start(house: House) -> None:
    async with sitting(house) as me:
        await me.ended(await me.make("steps=1"))
        (made,) = me.state.pictures
    async with sitting(house) as me:
        await me.until(lambda: me.state.pictures)
        assert me.state.pictures == [made]
        assert (await me.drawn()).path == made


async def test_a_picture_file_that_is_gone_is_said_in_its_place(house: House) -> None:
    async with sitting(house) as me:
        for _ in range(2):
            await me.ended(await me.make("steps=1"))
        newest, older = me.state.pictures
        Path(older).unlink()
        await me.press("escape", "down")
        picture = await me.drawn()
        assert picture.path == older and picture.painting is None
        assert "not there" in me.screen_text() or "gone" in me.screen_text()
        await me.press("i")  # its settings are still known from the job
        await me.press("escape", "up")
        assert (await me.drawn()).path == newest


@pytest.mark.parametrize(
    "text", ["[red]x[/] [/nope] [@click=app.bell]y[/]", "a\x1b[2Jb\x07c\x9bd\x00e"]
)
async def test_whatever_a_prompt_holds_is_shown_and_not_obeyed(house: House, text: str) -> None:
    async with sitting(house, size=(160, 48)) as me:
        client = await house.connect(start=False)
        first = await enqueue(client, f"{text} step_s=0.2 steps=50")
        await enqueue(client, f"{text} fail={text.replace(' ', '_')}")
        await me.until(lambda: me.state.jobs.get(first) and len(me.state.jobs) == 2)
        await me.write(f"{text} steps=1")
        _clean(me)
        await me.press("ctrl+j", "f7")
        await me.until(lambda: len(me.queue_lines()) == 3)
        _clean(me)
        if text.startswith("["):
            assert me.screen_text().count("[red]x[/]") >= 3
        await me.press("f2", "ctrl+g")
        await me.until(lambda: not me.state.busy)
        _clean(me)
        assert me.state.pictures


def _clean(me: Sitting) -> None:
    """No control character reaches the terminal."""
    bad = [char for char in me.screen_text() if not char.isprintable() and char != "\n"]
    assert not bad, f"{bad!r} in\n{me.screen_text()!r}"
