"""`sdtui generate`: queue a job, follow it, tell the result.

Ctrl-C cancels the job; a hangup leaves it to the backend.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from typing import Any

from sdtui.backend import protocol as p
from sdtui.library.places import Places, find_places
from sdtui.params.generate import GenerateParams

from . import DONE, FAILED, INTERRUPTED, USAGE, say_error
from .settings import settings_of, validated


def run(arguments: argparse.Namespace) -> int:
    places = find_places(arguments.home).prepare()
    params = validated(settings_of(arguments, places))
    started = time.monotonic()
    if arguments.local:
        return _local(arguments, places, params, started)
    return asyncio.run(_through_backend(arguments, places, params, started))


def _local(
    arguments: argparse.Namespace, places: Places, params: GenerateParams, started: float
) -> int:
    from sdtui.backend.local import run_local

    _quiet()
    talk = Talk()
    cancelled = threading.Event()
    job = run_local(places, params.model_dump(), talk, cancelled)
    talk.end()
    return _result(arguments, job, started)


def _quiet() -> None:
    import os

    from sdtui.backend.__main__ import QUIET

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


async def _through_backend(
    arguments: argparse.Namespace, places: Places, params: GenerateParams, started: float
) -> int:
    from sdtui.backend.client import Client

    client = await Client.connect(places)
    try:
        # Subscribed before it is queued, so that no event of the job can be missed.
        if not arguments.detach:
            await client.subscribe()
        reply = await client.ask(p.Enqueue(params=params.model_dump()))
        assert isinstance(reply, p.Queued)
        if arguments.detach:
            print(json.dumps({"job": reply.job}) if arguments.json else reply.job)
            return DONE
        job = await _follow(client, reply.job)
        return _result(arguments, job, started)
    finally:
        await client.close()


async def _follow(client: Any, number: int) -> p.JobView:
    """Until the job has ended; what it has come to."""
    loop = asyncio.get_running_loop()
    talk, images = Talk(number), list[p.SavedImage]()
    asked: set[asyncio.Task[Any]] = set()

    def cancel() -> None:
        asked.add(loop.create_task(client.ask(p.Cancel(job=number))))

    loop.add_signal_handler(signal.SIGINT, cancel)
    state: p.JobState = "interrupted"
    error: p.ErrorInfo | None = None
    async for event in client.events():
        talk(event)
        if getattr(event, "job", None) != number:
            continue
        match event:
            case p.ImageSaved():
                images.append(event.image)
            case p.JobFinished():
                state = "done"
                break
            case p.JobFailed():
                state, error = "failed", event.error
                break
            case p.JobCancelled():
                state = "cancelled"
                break
    talk.end()
    return p.JobView(job=number, state=state, error=error, images=tuple(images))


class Talk:
    """Progress on stderr: one line that is written over, or nothing but notices without a tty."""

    def __init__(self, job: int | None = None) -> None:
        self.job, self.live, self.width = job, sys.stderr.isatty(), 0

    def __call__(self, event: p.Event) -> None:
        if isinstance(event, p.Notice):
            self.line(event.text)
        number = getattr(event, "job", None)
        if self.job is not None and number != self.job:
            return
        if isinstance(event, p.StepDone) and self.live:
            self.over(_words(event.progress))
        elif isinstance(event, p.ImageSaved) and self.live:
            self.line(f"saved {event.image.path}")

    def over(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self.width))
        sys.stderr.flush()
        self.width = len(text)

    def line(self, text: str) -> None:
        if self.live:
            self.over("")
            sys.stderr.write("\r")
        print(text, file=sys.stderr)
        self.width = 0

    def end(self) -> None:
        if self.live and self.width:
            self.over("")
            sys.stderr.write("\r")


def _words(progress: p.Progress) -> str:
    if progress.phase != "sampling":
        return f"{progress.phase} {progress.detail}".strip()
    eta = f", {progress.eta_s:.0f} s left" if progress.eta_s is not None else ""
    picture = f"picture {progress.image + 1} of {progress.images}, " if progress.images > 1 else ""
    return f"{picture}step {progress.step} of {progress.steps}, {progress.steps_per_s:.1f} it/s{eta}"


def _result(arguments: argparse.Namespace, job: p.JobView, started: float) -> int:
    if arguments.json:
        images = [{"path": i.path, "seed": i.seed, "infotext": i.infotext} for i in job.images]
        seconds = round(time.monotonic() - started, 3)
        print(json.dumps({"images": images, "job": job.job, "seconds": seconds}, ensure_ascii=False))
    else:
        for image in job.images:
            print(image.path)
    sys.stdout.flush()
    if job.state == "done":
        return DONE
    if job.state == "cancelled":
        return say_error(f"cancelled; {len(job.images)} finished", INTERRUPTED)
    error = job.error or p.ErrorInfo(what="The backend ended before the job was done")
    return say_error(str(error), USAGE if error.code == "usage" else FAILED)


