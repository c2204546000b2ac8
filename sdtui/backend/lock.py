"""Which process is the backend of a home: the one that holds a lock on `backend.lock`.

The kernel gives the lock back when its holder dies, however it dies, so a stale file means nothing.
The file names the holder for people and for `sdtui stop`.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from sdtui import __version__

TAKE_S = 0.5
"""How long to try: somebody who only looks holds the lock for an instant."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock. pid 0: it has not signed yet."""

    pid: int
    version: str = ""


class LockHeld(Exception):
    """Another backend runs for this home."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.holder = holder
        who = f"process {holder.pid}" if holder.pid else "another process"
        super().__init__(f"{who} is already the backend of {path.parent}. End it with: sdtui stop")


class BackendLock:
    """The lock, held until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> BackendLock:
        """Become the backend of this home. Raises LockHeld, OSError."""
        # Not written through atomic.py: a lock lives on one inode. CLOEXEC is Python's default, so
        # neither a child nor the backend's own restart inherits it.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + TAKE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise LockHeld(path, _signature(path)) from None
                time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {__version__}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock now; None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _signature(path)
    finally:
        os.close(descriptor)


def _signature(path: Path) -> Holder:
    try:
        pid, _, version = path.read_text().strip().partition(" ")
    except OSError:
        return Holder(0)
    return Holder(int(pid) if pid.isdigit() else 0, version)
