"""What each command does to the backend, and what is said when it cannot be done."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from sdtui.params.base import ParamError

from . import protocol as p
from .core import Backend
from .queue import QueueError

log = logging.getLogger(__name__)


def handle(backend: Backend, command: p.Command) -> p.Reply:
    """Do what a client asks (all but Hello and Subscribe, which concern its connection)."""
    if not isinstance(command, p.GetStatus):
        backend.touch()
    try:
        return _ACTIONS[type(command)](backend, command)
    except (QueueError, ParamError) as error:
        return p.Refused(error=p.ErrorInfo(what=str(error), code="usage"))
    except sqlite3.Error as error:
        log.exception("the queue could not be written")
        return p.Refused(
            error=p.ErrorInfo(
                what=f"The queue {backend.places.state_db} could not be written",
                why=str(error),
                hint="Is the disk full? Free some space and try again",
            )
        )


def _enqueue(backend: Backend, command: p.Enqueue) -> p.Reply:
    return p.Queued(job=backend.enqueue(command.params))


def _retry(backend: Backend, command: p.Retry) -> p.Reply:
    return p.Queued(job=backend.retry(command.job))


def _cancel(backend: Backend, command: p.Cancel) -> p.Reply:
    backend.cancel(command.job)
    return p.Done()


def _cancel_all(backend: Backend, _command: p.CancelAll) -> p.Reply:
    backend.cancel_all()
    return p.Done()


def _move(backend: Backend, command: p.Move) -> p.Reply:
    backend.move(command.job, command.by)
    return p.Done()


def _pause(backend: Backend, _command: p.Pause) -> p.Reply:
    backend.pause(True)
    return p.Done()


def _resume(backend: Backend, _command: p.Resume) -> p.Reply:
    backend.pause(False)
    return p.Done()


def _free_model(backend: Backend, _command: p.FreeModel) -> p.Reply:
    backend.free_model()
    return p.Done()


def _status(backend: Backend, _command: p.GetStatus) -> p.Reply:
    return backend.snapshot()


def _stop(backend: Backend, command: p.Stop) -> p.Reply:
    backend.end("asked to stop", now=command.when == "now")
    return p.Done()


_ACTIONS: dict[type[p.Command], Callable[[Backend, Any], p.Reply]] = {
    p.Enqueue: _enqueue,
    p.Retry: _retry,
    p.Cancel: _cancel,
    p.CancelAll: _cancel_all,
    p.Move: _move,
    p.Pause: _pause,
    p.Resume: _resume,
    p.FreeModel: _free_model,
    p.GetStatus: _status,
    p.Stop: _stop,
}
