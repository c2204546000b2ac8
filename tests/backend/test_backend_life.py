"""Starting, ending, being killed, hanging: the process around the jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import PATIENCE_S, House, enqueue, eventually, over, status, until, view

from sdtui.backend import protocol as p
from sdtui.backend.client import (
    BackendGone,
    Client,
    NoBackend,
    log_tail,
    running_backend,
    stop_backend,
)
from sdtui.library.places import PlaceError, find_places


async def gone(client: Client) -> BackendGone:
    """How the client hears that the backend has ended."""
    with pytest.raises(BackendGone) as raised:
        await until(client, lambda event: False)
    return raised.value


async def test_nothing_is_started_unless_wanted(house: House) -> None:
    with pytest.raises(NoBackend, match="No backend runs"):
        await house.connect(start=False)
    assert running_backend(house.places) is None
    assert not stop_backend(house.places)
    assert log_tail(house.places) == []


async def test_killed_in_the_middle_nothing_is_lost(house: House) -> None:
    client = await house.connect()
    await client.subscribe()
    running = await enqueue(client, "steps=1 step_s=0.05", batch_count=1000)
    jobs = [await enqueue(client, f"number {number}", steps=number + 1) for number in range(20)]
    await client.ask(p.Move(job=jobs[19], by=-99))
    order = [jobs[19], *jobs[:19]]
    await until(client, lambda event: isinstance(event, p.ImageSaved))
    await client.ask(p.Pause())
    house.signal(signal.SIGKILL)
    killed = time.monotonic()
    error = await gone(client)
    assert time.monotonic() - killed < 2
    assert not error.expected and any("ready" in line for line in error.log_tail)
    with pytest.raises(BackendGone):
        await client.ask(p.GetStatus())

    again = await house.connect()
    snapshot = await again.subscribe()
    assert snapshot.paused, "a pause outlives the process"
    assert [job.job for job in snapshot.jobs] == [*order, running]
    assert [job.params["steps"] for job in snapshot.jobs[:20]] == [20, *range(1, 20)]
    broken = snapshot.jobs[-1]
    assert broken.state == "interrupted" and broken.error
    assert broken.error.what == "The backend ended while this was being made"
    assert broken.images and all(Path(image.path).exists() for image in broken.images)
    await again.ask(p.Resume())
    events = await until(again, over(order[-1]))
    assert [event.job for event in events if isinstance(event, p.JobStarted)] == order
    assert isinstance(await again.ask(p.Retry(job=running)), p.Queued)


async def test_a_dead_backends_lock_and_socket_are_taken_over_at_once(house: House) -> None:
    await house.connect()
    dead = house.signal(signal.SIGKILL)
    await house.ended()
    assert house.places.socket.exists(), "killed: nobody has cleaned up"
    assert str(dead) in house.places.lock_file.read_text()
    client = await house.connect()
    assert client.welcome.pid != dead
    ready = [line for line in log_tail(house.places) if f"process {client.welcome.pid}" in line]
    assert ready
    started = psutil.Process(client.welcome.pid).create_time()
    # From the start of the process, its imports included; the lock itself costs nothing.
    assert (await status(client)).started_s - started < 20


async def test_many_starters_one_backend(house: House) -> None:
    clients = await asyncio.gather(*(house.connect() for _ in range(4)))
    assert len({client.welcome.pid for client in clients}) == 1
    marks = [f"--home {house.places.home}"]
    await eventually(
        lambda: (
            sum(marks[0] in " ".join(_command(process)) for process in psutil.process_iter()) == 1
        )
    )


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def test_a_second_backend_by_hand_names_the_first(house: House) -> None:
    await house.connect()
    run = await asyncio.to_thread(backend_by_hand, house.places.home)
    assert run.returncode == 1
    assert f"process {house.pid} already works in" in run.stderr and "sdtui stop" in run.stderr


def backend_by_hand(home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sdtui.backend", "--home", os.fspath(home), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


async def test_a_home_that_cannot_be_written_is_one_sentence_and_code_2(
    house: House, home: Path
) -> None:
    file = home / "file"
    file.touch()
    run = await asyncio.to_thread(backend_by_hand, file / "home")
    assert run.returncode == 2
    assert run.stderr.startswith("sdtui: cannot make the folder") and "--home" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    with pytest.raises(PlaceError, match="cannot make the folder"):
        await Client.connect(find_places(file / "home"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can hand its folder to somebody else")
async def test_a_read_only_home_of_another_user(house: House, home: Path) -> None:
    home.chmod(0o555)
    script = (
        "import os, sys; from sdtui.backend.__main__ import main\n"
        "os.setgid(65534); os.setuid(65534); sys.exit(main(['--home', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", script, os.fspath(home)]
    run = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert run.returncode == 2, run.stderr
    assert "--home" in run.stderr and "Traceback" not in run.stderr


async def test_a_queue_of_a_newer_sdtui_is_left_alone(house: House) -> None:
    house.places.prepare()
    db = sqlite3.connect(house.places.state_db)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(NoBackend, match="written by a newer sdtui") as refused:
        await house.connect()
    assert refused.value.error.code == "usage"


async def test_a_damaged_queue_is_kept_aside(house: House) -> None:
    house.places.prepare()
    house.places.state_db.write_bytes(b"not a database " * 1000)
    client = await house.connect()
    assert (await client.subscribe()).jobs == ()
    events = await until(client, lambda event: isinstance(event, p.Notice))
    assert "damaged" in events[-1].text
    kept = list(house.places.home.glob("state.db.damaged-*"))
    assert [path.read_bytes()[:14] for path in kept] == [b"not a database"]


async def test_sigterm_interrupts_the_job_and_leaves_nothing_behind(house: House) -> None:
    client = await house.connect()
    await client.subscribe()
    job = await enqueue(client, "steps=1000 step_s=0.05")
    await until(client, lambda event: isinstance(event, p.StepDone))
    house.signal(signal.SIGTERM)
    events = await until(client, lambda event: isinstance(event, p.BackendStopping))
    failed = [event for event in events if isinstance(event, p.JobFailed)]
    assert [(event.job, event.state) for event in failed] == [(job, "interrupted")]
    error = await gone(client)
    assert error.expected and "SIGTERM" in str(error)
    await house.ended()
    assert not house.places.socket.exists()
    again = await house.connect()
    assert (await view(again, job)).state == "interrupted"


async def test_stop_after_the_job(house: House, home: Path) -> None:
    client = await house.connect()
    await client.subscribe()
    gate = home / "gate"
    job = await enqueue(client, f"wait={gate}")
    waiting = await enqueue(client, "later")
    await until(client, lambda event: isinstance(event, p.JobStarted))
    await client.ask(p.Stop(when="after_job"))
    gate.touch()
    await gone(client)
    await house.ended()
    again = await house.connect()
    await again.subscribe()
    assert (await view(again, job)).state == "done"
    if (await view(again, waiting)).state != "done":
        await until(again, over(waiting))


async def test_a_job_that_does_not_heed_the_end_is_left(house: House) -> None:
    client = await house.connect("--stop-grace", "0.2")
    await client.subscribe()
    job = await enqueue(client, "steps=1 hang=1")
    await until(client, lambda event: isinstance(event, p.StepDone))
    assert await asyncio.to_thread(stop_backend, house.places)
    again = await house.connect()
    assert (await view(again, job)).state == "interrupted"


@pytest.mark.parametrize("trouble", ["hang=1", "crash=CUDA_error:_an_illegal_memory_access"])
async def test_it_restarts_itself_and_the_queue_goes_on(house: House, trouble: str) -> None:
    client = await house.connect("--hang", "0.5")
    await client.subscribe()
    job = await enqueue(client, trouble)
    after = await enqueue(client, "fine")
    error = await gone(client)
    assert error.expected and "restarts itself" in str(error)
    again = await house.connect("--hang", "0.5")
    await again.subscribe()
    if (await view(again, after)).state != "done":
        await until(again, over(after))
    broken = await view(again, job)
    assert broken.state == "failed" and broken.error
    assert again.welcome.pid == client.welcome.pid, "the same process, begun anew"


async def test_idle_it_frees_the_model_and_ends(house: House) -> None:
    client = await house.connect("--idle-unload", "0.1", "--idle-end", "0.3")
    await client.subscribe()
    job = await enqueue(client, "a")
    await until(client, over(job))
    await until(client, lambda event: isinstance(event, p.ModelChanged) and event.model is None)
    with pytest.raises(TimeoutError):  # it does not end while somebody is attached
        async with asyncio.timeout(0.8):
            async for event in client.events():
                assert not isinstance(event, p.BackendStopping)
    await client.close()
    await house.ended()
    assert any("idle for" in line for line in log_tail(house.places))


async def test_a_hangup_of_the_terminal_reaches_only_the_terminal(house: House) -> None:
    gate = house.places.home / "gate"
    script = (
        "import asyncio, sys\n"
        "from sdtui.backend.client import Client\n"
        "from sdtui.backend.protocol import Enqueue\n"
        "from sdtui.library.places import find_places\n"
        "async def main():\n"
        "    client = await Client.connect(find_places(sys.argv[1]), timeout_s=60)\n"
        "    await client.ask(Enqueue(params={'prompt': 'wait=' + sys.argv[2]}))\n"
        "    print('watching', flush=True)\n"
        "    await client.subscribe()\n"
        "    async for event in client.events(): pass\n"
        "asyncio.run(main())\n"
    )
    master, slave = os.openpty()
    terminal = subprocess.Popen(
        [sys.executable, "-c", script, os.fspath(house.places.home), os.fspath(gate)],
        preexec_fn=lambda: os.login_tty(slave),
    )
    os.close(slave)
    said = b""
    while b"watching" not in said:
        said += await asyncio.to_thread(os.read, master, 1000)
    pid = house.pid
    os.close(master)
    assert await asyncio.to_thread(terminal.wait, PATIENCE_S) == -signal.SIGHUP
    gate.touch()
    again = await house.connect(start=False)
    assert again.welcome.pid == pid
    await again.subscribe()
    if (await view(again, 1)).state != "done":
        await until(again, over(1))


async def test_what_anything_prints_is_in_the_log(house: House) -> None:
    client = await house.connect()
    os.kill(house.pid, signal.SIGUSR1)  # faulthandler writes with C, straight to descriptor 2
    await eventually(lambda: "Current thread" in house.places.log_file.read_text())
    await status(client)
