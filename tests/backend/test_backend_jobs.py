"""Jobs over the real socket: made, watched, moved, cancelled, paused, retried."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from conftest import House, enqueue, eventually, over, status, until, view

from sdtui.backend import protocol as p
from sdtui.backend.client import CommandRefused


def kinds(events: list[p.Event]) -> list[str]:
    return [type(event).__name__ for event in events if not event.latest_wins]


def durable(events: list[p.Event]) -> list[p.Event]:
    return [event for event in events if not event.latest_wins]


async def test_a_job_becomes_a_file_and_everybody_is_told(house: House) -> None:
    client = await house.connect()
    assert client.welcome.pid == house.pid
    await client.subscribe()
    job = await enqueue(client, "a cat steps=3", batch_count=2, seed=7)
    events = []
    async with asyncio.timeout(60):
        async for event in client.events():
            events.append(event)
            if isinstance(event, p.ImageSaved):
                assert Path(event.image.path).stat().st_size, "announced before it is on the disk"
            if over(job)(event):
                break
    assert kinds(events) == [
        "JobQueued", "QueueChanged", "JobStarted", "QueueChanged", "ModelChanged",
        "ImageSaved", "ImageSaved", "JobFinished",
    ]  # fmt: skip
    numbers = [event.seq for event in events]
    assert numbers == sorted(set(numbers))
    done = await view(client, job)
    assert (done.state, done.title) == ("done", "a cat steps=3")
    assert [image.seed for image in done.images] == [7, 8]
    assert done.params["steps"] == 20, "every value in force is stored with the job"


async def test_two_terminals_see_the_same(house: House) -> None:
    first, second = await house.connect(), await house.connect()
    assert first.welcome.pid == second.welcome.pid
    await asyncio.gather(first.subscribe(), second.subscribe())
    job = await enqueue(first, "steps=20 step_s=0.01 previews=1", batch_count=3)
    seen = await asyncio.gather(until(first, over(job)), until(second, over(job)))
    assert durable(seen[0]) == durable(seen[1])


async def test_who_comes_in_the_middle_misses_nothing_and_gets_nothing_twice(
    house: House,
) -> None:
    first = await house.connect()
    await first.subscribe()
    job = await enqueue(first, "steps=5 step_s=0.02 previews=1", batch_count=8)
    early = await until(first, lambda event: isinstance(event, p.ImageSaved))
    second = await house.connect()
    snapshot = await second.subscribe()
    shown = {job.job: job for job in snapshot.jobs}[job]
    assert shown.state == "running" and shown.images
    late = await until(second, over(job))
    early += await until(first, over(job))
    after = [event for event in durable(early) if event.seq > snapshot.seq]
    assert durable(late) == after
    saved_late = [event.image for event in late if isinstance(event, p.ImageSaved)]
    saved = [event.image for event in early if isinstance(event, p.ImageSaved)]
    assert [*shown.images, *saved_late] == saved


async def test_steps_come_at_most_ten_times_a_second(house: House) -> None:
    client = await house.connect()
    await client.subscribe()
    started = time.monotonic()
    job = await enqueue(client, "steps=300 step_s=0.004")
    events = await until(client, over(job))
    seconds = time.monotonic() - started
    steps = [event for event in events if isinstance(event, p.StepDone)]
    assert 0 < len(steps) <= 10 * seconds + 5
    assert steps[-1].progress.step == 300, "the last one is never lost"


async def test_cancel_a_running_and_a_waiting_job(house: House, home: Path) -> None:
    client = await house.connect()
    await client.subscribe()
    running = await enqueue(client, f"wait={home / 'never'}", batch_count=2)
    # The first picture is made at once, the second one waits for ever.
    slow = await enqueue(client, "steps=1000 step_s=0.05", batch_count=2)
    waiting = await enqueue(client, "a")
    await client.ask(p.Cancel(job=waiting))
    assert (await view(client, waiting)).state == "cancelled"
    await client.ask(p.Cancel(job=running))
    await until(client, lambda event: isinstance(event, p.JobStarted) and event.job == slow)
    await until(client, lambda event: isinstance(event, p.StepDone) and event.job == slow)
    asked = time.monotonic()
    await client.ask(p.Cancel(job=slow))
    await until(client, over(slow))
    assert time.monotonic() - asked < 2
    assert (await view(client, slow)).state == "cancelled"
    with pytest.raises(CommandRefused, match="already ended"):
        await client.ask(p.Cancel(job=slow))
    with pytest.raises(CommandRefused, match="no job 99"):
        await client.ask(p.Cancel(job=99))


async def test_finished_pictures_stay_when_a_job_is_cancelled(house: House) -> None:
    client = await house.connect()
    await client.subscribe()
    job = await enqueue(client, "steps=2 step_s=0.05", batch_count=1000)
    await until(client, lambda event: isinstance(event, p.ImageSaved))
    await client.ask(p.CancelAll())
    await until(client, over(job))
    images = (await view(client, job)).images
    assert images and all(Path(image.path).exists() for image in images)


async def test_order_pause_and_retry(house: House, home: Path) -> None:
    client = await house.connect()
    await client.subscribe()
    await client.ask(p.Pause())
    jobs = [await enqueue(client, name) for name in "abcd"]
    await client.ask(p.Move(job=jobs[3], by=-2))
    await client.ask(p.Move(job=jobs[0], by=99))
    order = [jobs[3], jobs[1], jobs[2], jobs[0]]
    snapshot = await status(client)
    assert snapshot.paused
    assert [job.job for job in snapshot.jobs] == order
    assert all(job.state == "queued" for job in snapshot.jobs)
    await client.ask(p.Resume())
    events = await until(client, over(jobs[0]))
    assert [event.job for event in events if isinstance(event, p.JobStarted)] == order
    again = await client.ask(p.Retry(job=jobs[1]))
    assert isinstance(again, p.Queued)
    await until(client, over(again.job))
    assert (await view(client, again.job)).params == (await view(client, jobs[1])).params
    with pytest.raises(CommandRefused, match="not waiting"):
        await client.ask(p.Move(job=jobs[0], by=1))


async def test_a_wrong_value_is_refused_with_the_nearest_right_one(house: House) -> None:
    client = await house.connect()
    with pytest.raises(CommandRefused, match="did you mean “steps”") as refused:
        await client.ask(p.Enqueue(params={"stepz": 3}))
    assert refused.value.error.code == "usage"
    with pytest.raises(CommandRefused, match="multiple of 8"):
        await client.ask(p.Enqueue(params={"width": 500}))
    assert (await status(client)).jobs == ()


async def test_a_job_that_fails_says_why_and_the_next_one_goes_on(house: House) -> None:
    client = await house.connect()
    await client.subscribe()
    plain = await enqueue(client, "fail=No_such_model")
    bug = await enqueue(client, "crash=boom")
    good = await enqueue(client, "fine")
    events = await until(client, over(good))
    failed = {event.job: event for event in events if isinstance(event, p.JobFailed)}
    assert failed[plain].error.what == "No such model"
    assert failed[bug].error.why == "RuntimeError: boom"
    assert "Traceback" not in str(failed[bug].error)
    assert "Traceback" in house.places.log_file.read_text()
    assert (await view(client, good)).state == "done"


async def test_the_model_is_freed_when_asked(house: House) -> None:
    client = await house.connect()
    await client.subscribe()
    job = await enqueue(client, "a")
    await until(client, over(job))
    assert (await status(client)).model is not None
    await client.ask(p.FreeModel())
    await until(client, lambda event: event == p.ModelChanged(seq=event.seq, time_s=event.time_s))
    assert (await status(client)).model is None


async def test_the_monitor_runs_only_while_somebody_looks(house: House) -> None:
    client = await house.connect()
    assert (await status(client)).monitor is None
    await client.subscribe()
    events = await until(client, lambda event: isinstance(event, p.MonitorRead))
    reading = events[-1].reading
    assert 0 < reading.backend_rss_bytes < reading.ram_used_bytes < reading.ram_total_bytes


async def test_a_closed_terminal_ends_nothing(house: House, home: Path) -> None:
    client = await house.connect()
    gate = home / "gate"
    job = await enqueue(client, f"wait={gate}")
    await client.close()
    gate.touch()
    again = await house.connect()
    await eventually(lambda: list(house.places.outputs.glob("*.png")))
    await again.subscribe()
    if (await view(again, job)).state != "done":
        await until(again, over(job))
    assert (await view(again, job)).images
