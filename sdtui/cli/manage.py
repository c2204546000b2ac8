"""`sdtui status`, `sdtui cancel` and `sdtui stop`."""

from __future__ import annotations

import argparse
import asyncio
import time

from sdtui.backend import protocol as p
from sdtui.backend.client import Client
from sdtui.backend.starter import running_backend, stop_backend
from sdtui.library.places import Places, find_places

from . import DONE, FAILED, USAGE, UsageProblem, print_json, printable, say_error

WAIT_S = 15.0
GIB = 1 << 30
SHOWN = 20
"""Jobs that are listed one by one."""


def run(arguments: argparse.Namespace) -> int:
    places = find_places(arguments.home)
    if arguments.command == "status":
        return _status(arguments, places)
    if arguments.command == "cancel":
        return _cancel(arguments, places)
    return _stop(arguments, places)


def _status(arguments: argparse.Namespace, places: Places) -> int:
    if running_backend(places) is None:
        if arguments.json:
            print_json({"running": False})
        else:
            print(f"no backend runs for {places.home}")
        return DONE
    snapshot = asyncio.run(_ask(places))
    if arguments.json:
        print_json({"running": True, **snapshot.model_dump(mode="json")})
    else:
        _print_status(snapshot, places)
    return DONE


def _print_status(snapshot: p.Snapshot, places: Places) -> None:
    minutes = (time.time() - snapshot.started_s) / 60
    model = snapshot.model
    loaded = f"{model.name} ({model.family}, {model.dtype})" if model else "none in memory"
    running = [job for job in snapshot.jobs if job.state == "running"]
    waiting = [job for job in snapshot.jobs if job.state == "queued"]
    paused = ", paused" if snapshot.paused else ""
    print(f"backend  {snapshot.pid}, sdtui {snapshot.version}, up {minutes:.0f} min")
    print(f"home     {places.home}")
    print(f"device   {', '.join(snapshot.devices)}")
    print(f"model    {loaded}")
    if reading := snapshot.monitor:
        print(f"memory   {reading.backend_rss_bytes / GIB:.1f} GiB used by the backend")
    print(f"queue    {len(running)} running, {len(waiting)} waiting{paused}")
    for job in [*running, *waiting][:SHOWN]:
        step = f" step {job.progress.step}/{job.progress.steps}" if job in running else ""
        print(f"  {job.job:>5}  {job.state}{step}  {printable(job.title)}")
    if len(running) + len(waiting) > SHOWN:
        print(f"         and {len(running) + len(waiting) - SHOWN} more")


async def _ask(places: Places) -> p.Snapshot:
    client = await Client.connect(places, start=False, timeout_s=WAIT_S)
    try:
        reply = await client.ask(p.GetStatus())
        assert isinstance(reply, p.Snapshot)
        return reply
    finally:
        await client.close()


def _stop(arguments: argparse.Namespace, places: Places) -> int:
    pid = running_backend(places)
    if pid is None:
        print(f"no backend runs for {places.home}")
        return DONE
    if arguments.after_job:
        asyncio.run(_tell(places, p.Stop(when="after_job")))
        print(f"backend {pid} ends after the running job")
        return DONE
    if not stop_backend(places):
        return say_error(f"backend {pid} did not end; end it with: kill -9 {pid}", FAILED)
    print(f"backend {pid} has ended")
    return DONE


def _cancel(arguments: argparse.Namespace, places: Places) -> int:
    everything = arguments.job == "all"
    if not everything and not arguments.job.isdecimal():
        raise UsageProblem(f"cancel {arguments.job}: give a job's number (sdtui status) or “all”")
    if running_backend(places) is None:
        return say_error(f"no backend runs for {places.home}, so nothing is being made", USAGE)
    command = p.CancelAll() if everything else p.Cancel(job=int(arguments.job))
    asyncio.run(_tell(places, command))
    print("every job is cancelled" if everything else f"job {arguments.job} is cancelled")
    return DONE


async def _tell(places: Places, command: p.Command) -> None:
    client = await Client.connect(places, start=False, timeout_s=WAIT_S)
    try:
        await client.ask(command)
    finally:
        await client.close()
