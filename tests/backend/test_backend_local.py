"""`--local`: the same backend in this process, for one job."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from conftest import House, enqueue, eventually

from sdtui.backend import protocol as p
from sdtui.backend.client import CommandRefused, HomeTaken, running_backend
from sdtui.backend.local import run_local
from sdtui.backend.queue import JobQueue
from sdtui.library.places import find_places

RUNNER = "tests.fakes:ScriptedRunner"


def test_one_job_here_and_now(home: Path) -> None:
    places = find_places(home)
    places.prepare()
    queue = JobQueue(places.state_db)
    queue.paused = True
    waiting = queue.add({"prompt": "from earlier"}, "from earlier", 0.0).job
    queue.close()
    events: list[p.Event] = []
    params = {"prompt": "a", "batch_count": 2}
    job = run_local(places, params, events.append, threading.Event(), runner=RUNNER)
    assert job.state == "done" and len(job.images) == 2
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[-1], p.JobFinished)
    assert running_backend(places) is None, "the lock is given back"
    queue = JobQueue(places.state_db)
    assert queue.waiting() == (waiting,), "what waits goes on waiting"
    assert queue.get(job.job).images == job.images
    queue.close()


def test_cancelled_and_failed(home: Path) -> None:
    places = find_places(home)
    cancelled = threading.Event()

    def on_event(event: p.Event) -> None:
        if isinstance(event, p.ImageSaved):
            cancelled.set()

    params = {"prompt": "steps=5 step_s=0.02", "batch_count": 100}
    job = run_local(places, params, on_event, cancelled, runner=RUNNER)
    assert job.state == "cancelled" and job.images
    params = {"prompt": "fail=no_model"}
    job = run_local(places, params, lambda event: None, threading.Event(), runner=RUNNER)
    assert job.state == "failed" and job.error and job.error.what == "no model"
    with pytest.raises(CommandRefused, match="did you mean “prompt”"):
        run_local(places, {"promt": "a"}, on_event, threading.Event(), runner=RUNNER)


async def test_never_beside_a_backend(house: House) -> None:
    await house.connect()
    with pytest.raises(HomeTaken, match=f"process {house.pid} already works .* sdtui stop"):
        run_local(house.places, {}, lambda event: None, threading.Event())


async def test_a_terminal_waits_for_nothing_while_a_local_run_works(house: House) -> None:
    gate = house.places.home / "gate"
    params = {"prompt": f"wait={gate}"}
    run = asyncio.create_task(
        asyncio.to_thread(
            run_local, house.places, params, lambda event: None, threading.Event(), runner=RUNNER
        )
    )
    await eventually(lambda: running_backend(house.places))
    with pytest.raises(HomeTaken, match="already works in"):
        await house.connect()
    gate.touch()
    assert (await run).state == "done"
    client = await house.connect()
    assert await enqueue(client, "next") == 2
