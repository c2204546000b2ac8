"""Starting and stopping the backend process from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from sdtui.library.places import Places

from .lock import holder_of
from .logfile import size_of, tail

USAGE = 2
"""Exit code of a backend whose home folder cannot be used."""

_children: list[subprocess.Popen[bytes]] = []
"""Backends started by this process: kept, so that none stays a zombie when it ends."""


class Starting:
    """A backend process that was started and may not listen yet."""

    def __init__(self, places: Places, process: subprocess.Popen[bytes], log_size: int) -> None:
        self._places, self._process, self._log_size = places, process, log_size

    @classmethod
    def begin(cls, places: Places, arguments: Sequence[str]) -> Starting:
        """Start a backend in a session of its own, so that no hangup reaches it.

        Raises PlaceError, OSError.
        """
        places.prepare()
        _reap()
        command = [
            sys.executable, "-P", "-m", "sdtui.backend",
            "--home", os.fspath(places.home),
            "--config", os.fspath(places.config),
            "--cache", os.fspath(places.cache),
            *arguments,
        ]  # fmt: skip
        before = size_of(places.log_file)
        with places.log_file.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",  # keeps no folder of the user's busy
                start_new_session=True,
            )
        _children.append(process)
        return cls(places, process, before)

    def failed(self) -> bool:
        """Whether the process has ended already."""
        return self._process.poll() is not None

    @property
    def usage(self) -> bool:
        """Whether it ended because the home folder cannot be used."""
        return self._process.poll() == USAGE

    def reason(self) -> str:
        """What it said last."""
        said = tail(self._places.log_file, 1, since=self._log_size)
        code = self._process.poll()
        return said[0].removeprefix("sdtui: ") if said else f"it ended with code {code}"


def _reap() -> None:
    _children[:] = [child for child in _children if child.poll() is None]


def running_backend(places: Places) -> int | None:
    """The process id of the backend of this home, None if none runs."""
    deadline = time.monotonic() + 1.0
    while (holder := holder_of(places.lock_file)) is not None:
        if holder.pid or time.monotonic() > deadline:
            return holder.pid
        time.sleep(0.02)  # it has the lock and is about to sign
    return None


def stop_backend(places: Places, timeout_s: float = 30.0) -> bool:
    """End the backend of this home and wait until it is gone; whether one ran.

    What it makes is marked interrupted. Works whatever version it is. A backend that does not end
    in time is killed: its queue survives that.
    """
    pid = running_backend(places)
    if pid is None:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not pid or not _send(pid, number):
            break
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if running_backend(places) != pid:
                _reap()
                return True
            time.sleep(0.02)
    return running_backend(places) != pid


def _send(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
