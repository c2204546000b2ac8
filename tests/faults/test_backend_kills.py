"""R7, R15: kill -9 at any moment loses no queued job, no order, no finished picture."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from sdtui.backend import protocol as p
from sdtui.backend.client import BackendGone, Client, running_backend
from sdtui.library.places import find_places

KILLS = 60
REPOSITORY = Path(__file__).parents[2]

pytestmark = pytest.mark.faults


@pytest.mark.timeout(600)
async def test_killed_at_random_moments(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDTUI_RUNNER", "tests.fakes:ScriptedRunner")
    monkeypatch.setenv("PYTHONPATH", os.fspath(REPOSITORY))
    places = find_places(home)
    chance = random.Random(1)
    acknowledged: list[int] = []
    told: dict[int, list[str]] = {}
    slowest_s = 0.0
    for _ in range(KILLS):
        client = await Client.connect(places, timeout_s=60)
        snapshot = await client.subscribe()
        check(snapshot, acknowledged, told)
        killer = asyncio.create_task(kill_after(client.welcome.pid, chance.uniform(0, 0.4)))
        try:
            while True:
                script = f"steps=2 step_s={chance.uniform(0, 0.02)}"
                reply = await client.ask(p.Enqueue(params={"prompt": script, "batch_count": 2}))
                assert isinstance(reply, p.Queued)
                acknowledged.append(reply.job)
                await asyncio.sleep(0.03)
        except BackendGone as gone:
            assert gone.log_tail
        slowest_s = max(slowest_s, time.monotonic() - await killer)
        try:
            async for event in client.events():
                if isinstance(event, p.ImageSaved):
                    told.setdefault(event.job, []).append(event.image.path)
        except BackendGone:
            pass
        await client.close()
    assert slowest_s < 2, "a killed backend is noticed at once"

    client = await Client.connect(places, timeout_s=60)
    snapshot = await client.subscribe()
    check(snapshot, acknowledged, told)
    async with asyncio.timeout(300):
        while any(job.state in ("queued", "running") for job in (await status(client)).jobs):
            await asyncio.sleep(0.1)
    await client.close()
    os.kill(running_backend(places) or 0, signal.SIGTERM)
    db = sqlite3.connect(places.state_db)
    states = dict(db.execute("SELECT job, state FROM job"))
    started = [row[0] for row in db.execute("SELECT job FROM job ORDER BY started_s")]
    db.close()
    assert set(acknowledged) <= set(states)
    assert set(states.values()) <= {"done", "interrupted"}
    assert list(states.values()).count("interrupted") <= KILLS
    assert started == sorted(started), "the order is kept"


async def kill_after(pid: int, seconds: float) -> float:
    await asyncio.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def check(snapshot: p.Snapshot, acknowledged: list[int], told: dict[int, list[str]]) -> None:
    """Nothing that a client was told of is missing."""
    waiting = [job.job for job in snapshot.jobs if job.state == "queued"]
    assert waiting == sorted(waiting)
    ended = {job.job: job for job in snapshot.jobs if job.state in p.ENDED}
    shown = {*waiting, *ended, *(job.job for job in snapshot.jobs)}
    oldest = min(shown, default=0)
    assert {job for job in acknowledged if job >= oldest} <= shown
    for job, paths in told.items():
        assert all(Path(path).exists() for path in paths)
        if job in ended:
            assert set(paths) <= {image.path for image in ended[job].images}
    for job in ended.values():
        assert job.state != "interrupted" or job.error is not None


async def status(client: Client) -> p.Snapshot:
    reply = await client.ask(p.GetStatus())
    assert isinstance(reply, p.Snapshot)
    return reply
