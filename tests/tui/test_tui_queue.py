"""F7: the jobs, and what the keys do to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from sdtui.backend.client import Client
from tests.backend.conftest import House, enqueue, status
from tests.tui.sitting import Sitting, sitting

LONG = "steps=150 step_s=0.2"


async def filled(house: House, *scripts: str) -> tuple[Client, list[int]]:
    client = await house.connect()
    return client, [await enqueue(client, script) for script in scripts]


async def lines(me: Sitting, *starts: str) -> None:
    """Wait until the rows begin like this."""

    def so() -> bool:
        rows = me.queue_lines()
        return len(rows) == len(starts) and all(map(str.startswith, rows, starts))

    await me.until(so)


def about(me: Sitting) -> str:
    return str(me.app.screen.query_one("#about", Static).content)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_running_first_then_waiting_then_ended(house: House, size: tuple[int, int]) -> None:
    await filled(house, "steps=1 one", "fail=no_[b]luck", LONG, "steps=1 [red]wait[/]")
    async with sitting(house, size=size) as me:
        await me.press("f7")
        await lines(me, "▶    3", "·    4", "✗    2", "✓    1")
        assert me.focused() == "jobs"
        assert "[red]wait[/]" in me.queue_lines()[1] and "[red]wait[/]" in me.screen_text()
        assert about(me).startswith("Job 3: running")
        await me.press("j", "down")
        assert "no [b]luck. Try another script" in about(me)
        await me.press("j")
        assert about(me).startswith("Job 1: done after") and "Steps: 20" in about(me)
        assert str(house.places.outputs) in about(me)
        assert len(me.screen_text().splitlines()) == size[1]


async def test_cancel_retry_move_and_all(house: House) -> None:
    await filled(house, LONG, "steps=1 b", "steps=1 c", "steps=1 d")
    async with sitting(house) as me:
        await me.press("f7")
        await lines(me, "▶    1", "·    2", "·    3", "·    4")
        await me.press("down", "down", "down", "K")
        await lines(me, "▶    1", "·    2", "·    4", "·    3")
        assert about(me).startswith("Job 4"), "the cursor stays on its job"
        await me.press("J", "J")
        await lines(me, "▶    1", "·    2", "·    3", "·    4")
        await me.press("c")
        await me.until(lambda: me.state.jobs[4].state == "cancelled")
        await lines(me, "▶    1", "·    2", "·    3", "–    4")
        await me.press("X")
        await me.until(lambda: not me.state.busy)
        assert {job.state for job in me.state.jobs.values()} == {"cancelled"}
        await me.until(lambda: about(me).startswith("Job 4: cancelled"))
        await me.press("r")
        await me.until(lambda: 5 in me.state.jobs and me.state.jobs[5].state == "done")
        assert me.state.jobs[5].params == me.state.jobs[4].params


async def test_a_paused_queue_says_so_and_goes_on(house: House, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    client, (first, second) = await filled(house, f"steps=1 wait={gate}", "steps=1 b")
    async with sitting(house) as me:
        await me.press("f7", "p")
        await me.until(lambda: me.state.paused)
        gate.touch()
        await me.until(lambda: me.state.jobs[first].state == "done")
        assert "queue paused" in me.screen_text()
        assert (await status(client)).paused and me.state.jobs[second].state == "queued"
        await me.press("f2")
        assert "queue is paused" in me.screen_text()
        await me.press("f7", "p")
        await me.until(lambda: me.state.jobs[second].state == "done")
        assert "queue paused" not in me.screen_text()


async def test_the_model_is_freed_by_a_key(house: House) -> None:
    await filled(house, "steps=1")
    async with sitting(house) as me:
        await me.until(lambda: me.state.model)
        assert "demo on cpu" in me.screen_text()
        await me.press("f7", "f")
        await me.until(lambda: me.state.model is None)
        assert "no model in memory" in me.screen_text()
        await me.press("f")
        assert "No model is in memory" in me.said()


async def test_enter_looks_at_a_jobs_picture(house: House) -> None:
    await filled(house, "steps=1 a", "steps=1 b")
    async with sitting(house) as me:
        await me.until(lambda: not me.state.busy and len(me.state.pictures) == 2)
        await me.press("f7", "down", "enter")
        assert me.dialog == "" and me.focused() == "canvas"
        assert (await me.drawn()).path == me.state.jobs[1].images[0].path


async def test_progress_moves_while_one_watches(house: House) -> None:
    await filled(house, "steps=100 step_s=0.05")
    async with sitting(house) as me:
        await me.press("f7")
        await me.until(lambda: me.queue_lines() and "/100" in me.queue_lines()[0])
        first = me.queue_lines()[0]
        await me.until(lambda: me.queue_lines()[0] != first)


async def test_an_empty_queue_says_how_to_fill_it(house: House) -> None:
    async with sitting(house) as me:
        await me.press("f7")
        assert "Nothing was queued yet" in me.screen_text()
        await me.press("c", "r", "K", "enter")
        assert me.dialog == "" and me.said() == ""
        await me.press("escape")
        assert me.app.screen is me.app.generate_screen
        assert not (await status(await house.connect())).jobs
