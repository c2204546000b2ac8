"""`sdtui generate`: queue a job, follow it, tell the result.

Each picture's path is printed on stdout as soon as the picture is on the disk; everything else goes
to stderr. Ctrl-C cancels the job, a second one leaves at once; a hangup leaves it to the backend.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import threading
import time

from sdtui.backend import protocol as p
from sdtui.backend.client import BackendGone, Client, running_backend
from sdtui.backend.errors import BackendError, CommandRefused
from sdtui.library.places import Places, find_places
from sdtui.params.generate import GenerateParams

from . import DONE, FAILED, INTERRUPTED, USAGE, UsageProblem, print_json, printable, say_error
from .settings import params_of


def run(arguments: argparse.Namespace) -> int:
    if arguments.local and arguments.detach:
        raise UsageProblem("--detach needs a backend and --local does without: take one of them")
    places = find_places(arguments.home).prepare()
    params = params_of(arguments, places)
    started = time.monotonic()
    if arguments.local:
        job = _local(arguments, places, params)
    else:
        job = asyncio.run(_through_backend(arguments, places, params))
    if arguments.json:
        images = [{"path": i.path, "seed": i.seed, "infotext": i.infotext} for i in job.images]
        seconds = round(time.monotonic() - started, 3)
        print_json({"images": images, "job": job.job, "seconds": seconds})
    elif arguments.detach:
        print(job.job)
    return _ending(arguments, job)


def _ending(arguments: argparse.Namespace, job: p.JobView) -> int:
    """The exit code, and why if the job did not end well."""
    if job.state == "done" or arguments.detach:
        return DONE
    if job.state == "cancelled":
        return say_error(f"job {job.job} cancelled; {len(job.images)} finished", INTERRUPTED)
    assert job.error is not None, job.state
    return say_error(str(job.error), USAGE if job.error.code == "usage" else FAILED)


def _local(arguments: argparse.Namespace, places: Places, params: GenerateParams) -> p.JobView:
    from sdtui.backend.__main__ import QUIET
    from sdtui.backend.local import run_local

    # What a backend would write into its log, tracebacks too, does not belong on the screen.
    logging.basicConfig(
        filename=places.terminal_log, level=logging.INFO, encoding="utf-8",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )  # fmt: skip
    logging.captureWarnings(True)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    talk = Talk(paths=not arguments.json)

    def on_event(event: p.Event) -> None:
        talk(event)
        if isinstance(event, p.ImageSaved):
            talk.saved(event.image)

    try:
        return run_local(places, params.model_dump(), on_event, threading.Event())
    finally:
        talk.clear()


async def _through_backend(
    arguments: argparse.Namespace, places: Places, params: GenerateParams
) -> p.JobView:
    client = await Client.connect(places)
    follower = Follower(client, Talk(paths=not arguments.json))
    try:
        if arguments.detach:
            return p.JobView(job=await _enqueue(client, params))
        # Subscribed before it is queued, so that no event of the job can be missed.
        before = await client.subscribe()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, follower.interrupt)
        number = await _enqueue(client, params)
        follower.talk.waiting(before)
        return await follower.follow(number)
    finally:
        await follower.client.close()


async def _enqueue(client: Client, params: GenerateParams) -> int:
    reply = await client.ask(p.Enqueue(params=params.model_dump()))
    assert isinstance(reply, p.Queued)
    return reply.job


class Follower:
    """Waits for the end of one job and passes Ctrl-C on."""

    def __init__(self, client: Client, talk: Talk) -> None:
        self.client, self.talk = client, talk
        self.number: int | None = None
        self.interrupted = False
        self._images: dict[str, p.SavedImage] = {}
        self._asked: asyncio.Task[None] | None = None

    def interrupt(self) -> None:
        """Cancel the job, or leave if that was asked already."""
        if self.interrupted:
            os._exit(INTERRUPTED)  # the backend has been told; nothing here is worth waiting for
        self.interrupted = True
        if self.number is not None:
            self._asked = asyncio.create_task(self._cancel(self.number))

    async def _cancel(self, number: int) -> None:
        self.talk.line("cancelling; once more leaves at once")
        try:
            await self.client.ask(p.Cancel(job=number))
        except (CommandRefused, BackendGone) as error:  # it ended in this very moment
            self.talk.line(str(error))

    async def follow(self, number: int) -> p.JobView:
        """Until the job has ended; what it has come to, with every picture that was told."""
        self.number = self.talk.job = number
        if self.interrupted:
            await self._cancel(number)
        ending: p.JobView | None = None
        while ending is None:
            try:
                ending = await self._end(number)
            except BackendGone as gone:
                ending = await self._attach_again(number, gone)
        self.talk.clear()
        return ending.model_copy(update={"images": tuple(self._images.values())})

    async def _end(self, number: int) -> p.JobView:
        async for event in self.client.events():
            self.talk(event)
            if getattr(event, "job", None) != number:
                continue
            match event:
                case p.ImageSaved():
                    self._saved(event.image)
                case p.JobFinished():
                    return p.JobView(job=number, state="done")
                case p.JobFailed():
                    return p.JobView(job=number, state=event.state, error=event.error)
                case p.JobCancelled():
                    return p.JobView(job=number, state="cancelled")
        raise AssertionError("the events of an open connection do not end")

    async def _attach_again(self, number: int, gone: BackendGone) -> p.JobView | None:
        """How the job ended, or None if it goes on: in a backend that took us for too slow (our
        output was not read), or that has replaced itself."""
        places = self.client.places
        lost = p.JobView(job=number, state="interrupted", error=gone.error)
        if running_backend(places) is None:
            return lost
        await self.client.close()
        try:
            self.client = await Client.connect(places, start=False)
            jobs = (await self.client.subscribe()).jobs
        except BackendError:  # it was killed, and its lock was given back just now
            return lost
        job = next((job for job in jobs if job.job == number), lost)
        for image in job.images:
            self._saved(image)
        return job if job.state in p.ENDED else None

    def _saved(self, image: p.SavedImage) -> None:
        if image.path not in self._images:
            self._images[image.path] = image
            self.talk.saved(image)


class Talk:
    """What a person hears: on a terminal one line that is written over, else only what matters."""

    def __init__(self, *, paths: bool) -> None:
        self.job: int | None = None
        """Only this job is talked about; None: there is no other."""
        self._paths, self._live, self._shown = paths, sys.stderr.isatty(), False

    def __call__(self, event: p.Event) -> None:
        if isinstance(event, p.Notice):
            self.line(event.text)
        if self.job is not None and getattr(event, "job", None) != self.job:
            return
        if isinstance(event, p.StepDone) and self._live:
            self._over(words(event.progress))

    def saved(self, image: p.SavedImage) -> None:
        if self._paths:
            self.clear()
            print(image.path, flush=True)

    def waiting(self, snapshot: p.Snapshot) -> None:
        """Say it if the job cannot start at once."""
        ahead = sum(job.state in ("running", "queued") for job in snapshot.jobs)
        if snapshot.paused:
            self.line("the queue is paused: the job waits until it goes on")
        elif ahead:
            self.line(f"waiting for {ahead} {'job' if ahead == 1 else 'jobs'} before this one")

    def line(self, text: str) -> None:
        self.clear()
        print(printable(text), file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line that is written over away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False

    def _over(self, text: str) -> None:
        # A line that wraps could not be written over.
        columns = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[K{printable(text)[:columns]}")
        sys.stderr.flush()
        self._shown = True


def words(progress: p.Progress) -> str:
    """“picture 2 of 4, step 3 of 20, 1.5 it/s, 12 s left”"""
    picture = f"picture {progress.image + 1} of {progress.images}, " if progress.images > 1 else ""
    if progress.phase != "sampling":
        return f"{picture}{progress.phase} {progress.detail}".rstrip()
    left = f", {progress.eta_s:.0f} s left" if progress.eta_s is not None else ""
    step = f"step {progress.step} of {progress.steps}"
    return f"{picture}{step}, {progress.steps_per_s:.1f} it/s{left}"
