"""A real backend process over a real socket, with a scripted runner in the place of torch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sdtui.backend import protocol as p
from sdtui.backend.client import Client, running_backend
from sdtui.library.places import Places, find_places

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 60.0
"""Only reached when something is broken: the machine may be busy."""


class House:
    """One home folder, its backend and the clients of a test."""

    def __init__(self, home: Path) -> None:
        self.places: Places = find_places(home)
        self._clients: list[Client] = []

    async def connect(self, *backend_args: str, start: bool = True) -> Client:
        client = await Client.connect(
            self.places, start=start, timeout_s=PATIENCE_S, backend_args=backend_args
        )
        self._clients.append(client)
        return client

    @property
    def pid(self) -> int:
        pid = running_backend(self.places)
        assert pid, "no backend runs"
        return pid

    def signal(self, number: signal.Signals) -> int:
        pid = self.pid
        os.kill(pid, number)
        return pid

    async def ended(self) -> None:
        """Wait until no backend runs any more."""
        await eventually(lambda: running_backend(self.places) is None)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        await eventually(self._killed)

    def _killed(self) -> bool:
        """Whether nothing runs any more: one that was just starting is killed as well."""
        pid = running_backend(self.places)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid is None


async def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def enqueue(client: Client, script: str, **params: object) -> int:
    """Queue a scripted job (see tests/fakes.py); its number."""
    reply = await client.ask(p.Enqueue(params={"prompt": script, **params}))
    assert isinstance(reply, p.Queued)
    return reply.job


async def until(client: Client, stop: Callable[[p.Event], object]) -> list[p.Event]:
    """The client's events up to and with the first one for which `stop` holds."""
    events: list[p.Event] = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in client.events():
            events.append(event)
            if stop(event):
                return events
    raise AssertionError("the events ended before it came")


def over(job: int) -> Callable[[p.Event], bool]:
    """Whether an event is the last one of this job."""
    kinds = (p.JobFinished, p.JobFailed, p.JobCancelled)
    return lambda event: isinstance(event, kinds) and event.job == job


async def status(client: Client) -> p.Snapshot:
    reply = await client.ask(p.GetStatus())
    assert isinstance(reply, p.Snapshot)
    return reply


async def view(client: Client, job: int) -> p.JobView:
    return {view.job: view for view in (await status(client)).jobs}[job]


@pytest.fixture
async def house(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setenv("SDTUI_RUNNER", "tests.fakes:ScriptedRunner")
    monkeypatch.setenv("PYTHONPATH", os.fspath(REPOSITORY))
    house = House(home)
    yield house
    await house.close()
