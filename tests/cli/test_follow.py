"""Following a job over a connection that breaks, with a scripted runner in the place of torch."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sdtui.backend import protocol as p
from sdtui.backend.client import Client, stop_backend
from sdtui.cli.generate import Follower, Talk
from sdtui.library.places import find_places
from tests.program import REPOSITORY


async def test_a_broken_connection_is_made_again_and_no_picture_is_missed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The backend drops a client that does not read; its job goes on and is found again."""
    monkeypatch.setenv("SDTUI_RUNNER", "tests.fakes:ScriptedRunner")
    monkeypatch.setenv("PYTHONPATH", os.fspath(REPOSITORY))
    places, go_on = find_places(home), home / "go-on"
    first = await Client.connect(places)
    try:
        follower = Follower(first, Talk(paths=True))
        await first.subscribe()
        script = f"steps=1 wait={go_on}"
        queued = await first.ask(p.Enqueue(params={"prompt": script, "batch_count": 3}))
        following = asyncio.create_task(follower.follow(queued.job))
        await asyncio.sleep(0.1)
        first._writer.transport.abort()
        go_on.touch()
        job = await asyncio.wait_for(following, 60)
        assert follower.client is not first
        await follower.client.close()
    finally:
        await first.close()
        await asyncio.to_thread(stop_backend, places)
    assert job.state == "done" and job.error is None
    assert [Path(image.path).is_file() for image in job.images] == [True] * 3
    assert capsys.readouterr().out.splitlines() == [image.path for image in job.images]
