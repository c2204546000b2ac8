"""The backend dies, is shared, is left working or is stopped: what the terminal makes of it."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from sdtui.backend import protocol as p
from sdtui.backend.client import log_tail
from tests.backend.conftest import House, enqueue, status, view
from tests.tui.sitting import Sitting, sitting

LONG = "steps=150 step_s=0.2"


async def test_a_killed_backend_is_said_within_two_seconds_and_restarted_by_a_key(
    house: House, tmp_path: Path
) -> None:
    async with sitting(house) as me:
        await me.ended(await me.make("steps=1"))
        broken = await me.make(LONG)
        waiting = await me.make("steps=1 waits")
        await me.running(broken)
        dead = house.signal(signal.SIGKILL)
        killed_s = time.monotonic()
        await me.until(lambda: me.dialog)
        assert time.monotonic() - killed_s < 2.0
        assert me.dialog == "Ask" and me.state.link == "gone"
        text = me.screen_text()
        tail = log_tail(house.places)
        assert tail and tail[-1][:30] in text, "the log's last lines are shown"
        await me.press("r")
        await me.until(lambda: me.state.link == "attached")
        assert me.dialog == "" and house.pid != dead
        assert (await me.ended(waiting)).state == "done", "what waited is made"
        assert me.state.jobs[broken.job].state == "interrupted"
        await me.press("f7")
        assert any(f"! {broken.job:>4}" in line for line in me.queue_lines()), me.queue_lines()


async def test_without_a_backend_one_can_look_and_start_it_later(house: House) -> None:
    async with sitting(house) as me:
        await me.ended(await me.make("steps=1"))
        house.signal(signal.SIGKILL)
        await me.until(lambda: me.dialog)
        await me.press("escape")
        assert me.dialog == "" and "no backend" in me.screen_text()
        assert (await me.drawn()).painting is not None
        await me.write("steps=1 later")
        await me.press("ctrl+j")
        assert "does not run" in me.said() and "ctrl+r" in me.said()
        assert me.value("prompt") == "steps=1 later", "nothing is lost"
        await me.press("ctrl+r")
        await me.until(lambda: me.state.link == "attached")
        await me.press("ctrl+j")
        await me.until(lambda: len(me.state.pictures) == 2)


async def test_two_terminals_see_the_same_job(house: House) -> None:
    async with sitting(house) as one, sitting(house, size=(80, 24)) as two:
        job = await one.make("previews=1 steps=60 step_s=0.05 [shared]")
        await two.until(lambda: two.state.running and two.state.running.progress.step > 2)
        assert two.state.running and two.state.running.job == job.job
        await two.until(lambda: two.state.running and two.state.running.preview)
        assert (await two.drawn()).path == one.state.jobs[job.job].preview
        await two.press("ctrl+g")
        assert (await one.ended(job)).state == "cancelled"
        done = await two.make("steps=1")
        await one.ended(done)
        assert one.state.pictures == two.state.pictures != []
    assert house.pid, "both have left; the backend goes on"


async def test_quitting_an_idle_program_asks_nothing(house: House) -> None:
    async with sitting(house) as me:
        await me.ended(await me.make("steps=1"))
        await me.press("ctrl+q")
        assert me.app._exit
    assert house.pid


async def test_quitting_while_it_works_asks_and_may_leave_it_working(house: House) -> None:
    async with sitting(house) as me:
        job = await me.make(LONG)
        await me.make("waits")
        await me.running(job)
        await me.press("ctrl+q")
        assert me.dialog == "Ask" and "1 more wait" in me.screen_text()
        await me.press("x", "escape")
        assert me.dialog == "" and not me.app._exit
        await me.press("ctrl+q", "l")
        assert me.app._exit
    client = await house.connect(start=False)
    assert (await view(client, job.job)).state == "running"


async def test_quitting_while_it_works_may_stop_it(house: House) -> None:
    async with sitting(house) as me:
        job = await me.make(LONG)
        later = await me.make("steps=1")
        await me.running(job)
        await me.press("ctrl+q", "s")
        await me.until(lambda: me.app._exit)
    await house.ended()
    client = await house.connect()
    assert (await view(client, job.job)).state == "interrupted"
    assert (await view(client, later.job)).state in ("queued", "running", "done"), "not lost"


async def test_waiting_jobs_alone_are_asked_about_too(house: House) -> None:
    client = await house.connect()
    await client.ask(p.Pause())
    await enqueue(client, "waits")
    async with sitting(house) as me:
        await me.press("ctrl+q")
        assert me.dialog == "Ask" and "wait" in me.screen_text()
        await me.press("l")
        assert me.app._exit
    assert len((await status(client)).jobs) == 1


async def test_the_end_of_the_terminal_touches_nothing(house: House) -> None:
    async with sitting(house) as me:
        job = await me.make("steps=20 step_s=0.05")
        await me.running(job)
    client = await house.connect(start=False)
    while (ended := await view(client, job.job)).state == "running":
        await asyncio.sleep(0.05)
    assert ended.state == "done"
    async with sitting(house) as me:
        await me.until(lambda: me.state.pictures)
        await shown(me, ended.images[0].path)


async def shown(me: Sitting, path: str) -> None:
    assert (await me.drawn()).path == path


async def test_the_log_is_shown(house: House) -> None:
    async with sitting(house) as me:
        await me.press("ctrl+p", *"backend's log", "enter")
        await me.until(lambda: me.dialog == "Ask")
        assert str(house.places.log_file) in me.screen_text()
        assert log_tail(house.places)[0][:20] in me.screen_text()
