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

LOCAL = "local"
HANDED_OVER = "SDTUI_LOCK_FD"
"""Environment variable by which a backend that restarts itself hands its lock to its successor."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock. pid 0: it has not signed yet."""

    pid: int
    version: str = ""
    local: bool = False
    """It makes one picture by itself (`--local`) and has no socket."""

    def __str__(self) -> str:
        return f"process {self.pid}" if self.pid else "another process"


class LockHeld(Exception):
    """Another process holds the lock."""

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        super().__init__(f"held by {holder}")


class BackendLock:
    """The lock, held until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, local: bool = False) -> BackendLock:
        """Become the backend of this home. Raises LockHeld, OSError."""
        # Not written through atomic.py: a lock lives on one inode. CLOEXEC is Python's default, so
        # no child inherits it.
        descriptor = _handed_over(path)
        if descriptor is None:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + TAKE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise LockHeld(_signature(path)) from None
                time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        words = [str(os.getpid()), __version__, *([LOCAL] if local else [])]
        os.pwrite(descriptor, (" ".join(words) + "\n").encode(), 0)
        return cls(descriptor)

    def hand_over(self) -> None:
        """Keep the lock over an `exec` of this process: nobody can take it in between."""
        os.set_inheritable(self._descriptor, True)
        os.environ[HANDED_OVER] = str(self._descriptor)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock now; None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _signature(path)
    finally:
        os.close(descriptor)


def _handed_over(path: Path) -> int | None:
    """The lock's descriptor, if this process was `exec`ed by one that held it."""
    word = os.environ.pop(HANDED_OVER, "")
    if not word.isdigit():
        return None
    try:
        same = os.path.sameopenfile(int(word), probe := os.open(path, os.O_RDONLY))
        os.close(probe)
    except OSError:
        return None
    if not same:
        return None
    os.set_inheritable(int(word), False)
    return int(word)


def _signature(path: Path) -> Holder:
    try:
        words = path.read_text().split()
    except OSError:
        return Holder(0)
    if not words or not words[0].isdigit():
        return Holder(0)
    return Holder(int(words[0]), "".join(words[1:2]), LOCAL in words[2:])
