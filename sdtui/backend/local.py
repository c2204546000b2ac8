"""`sdtui generate --local`: the backend's own class in this process, for one job, without a socket.

It takes the same lock, so it never runs beside a backend. What waits in the queue goes on waiting.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

from sdtui.library.gallery import GalleryWriter
from sdtui.library.places import Places

from . import protocol as p
from .commands import handle
from .core import Backend
from .device import default_runner, runner_factory
from .errors import CommandRefused, HomeTaken
from .lock import BackendLock, LockHeld
from .queue import JobQueue

POLL_S = 0.1
JOIN_S = 5.0


def run_local(
    places: Places,
    params: dict[str, Any],
    on_event: Callable[[p.Event], None],
    cancelled: threading.Event,
    *,
    device: str = "auto",
    runner: str | None = None,
) -> p.JobView:
    """Make one job's pictures here and now; the job as it ended.

    on_event is called in this thread. Ctrl-C or setting `cancelled` cancels; what is done stays.

    Raises:
        HomeTaken: a backend runs for this home.
        CommandRefused: a parameter is wrong.
        PlaceError, OSError, sqlite3.Error: the home folder cannot be used.
    """
    places.prepare()
    try:
        lock = BackendLock.take(places.lock_file, local=True)
    except LockHeld as error:
        raise HomeTaken(places.home, error.holder) from None
    try:
        return asyncio.run(
            _one_job(places, params, on_event, cancelled, device, runner or default_runner())
        )
    finally:
        lock.release()


async def _one_job(
    places: Places,
    params: dict[str, Any],
    on_event: Callable[[p.Event], None],
    cancelled: threading.Event,
    device: str,
    runner: str,
) -> p.JobView:
    queue = JobQueue(places.state_db)
    gallery = GalleryWriter(places)
    backend = Backend(
        places, queue, gallery, {device: runner_factory(runner, device, places)}, resume=False
    )
    backend.hub.listeners.append(on_event)
    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, cancelled.set)
    backend.start()
    try:
        reply = handle(backend, p.Enqueue(params=params))
        if isinstance(reply, p.Refused):
            raise CommandRefused(reply.error)
        assert isinstance(reply, p.Queued)
        return await _end_of(backend, reply.job, cancelled)
    finally:
        for thread in backend.devices:
            thread.finish()
        for thread in backend.devices:
            await asyncio.to_thread(thread.join, JOIN_S)
        gallery.close()
        queue.close()


async def _end_of(backend: Backend, job: int, cancelled: threading.Event) -> p.JobView:
    while (view := backend.jobs.get(job)).state not in p.ENDED:
        if cancelled.is_set():
            cancelled.clear()
            backend.cancel(job)
        await backend.wait(POLL_S)
    return view
