"""What the benches share: a program in a pty, and a table with the machine's name.

The pty answers nothing that a program asks (a dumb pipe with a size), so what is timed is the
program, not a terminal; it counts every byte the program writes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import pty
import select
import signal
import struct
import sys
import termios
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def machine() -> str:
    """Machine and libraries in one line, for the head of every table."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "textual"))
    return (
        f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, nice {os.nice(0)}; "
        f"Python {platform.python_version()}, {libraries}"
    )


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table to stdout."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    print(f"\n{title}\n{machine()}")
    for row in [head, tuple("-" * width for width in widths), *rows]:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)))
    sys.stdout.flush()


class PtyProgram:
    """A program in a pty of `columns` x `rows`; `output` grows with all it writes."""

    def __init__(
        self, argv: list[str], columns: int = 120, rows: int = 36, env: dict[str, str] | None = None
    ) -> None:
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            **(env or {}),
        }
        environment.pop("TMUX", None)
        self.started = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            size = struct.pack("HHHH", rows, columns, columns * 10, rows * 20)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.execvpe(argv[0], argv, environment)
        size = struct.pack("HHHH", rows, columns, columns * 10, rows * 20)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)
        self.output = bytearray()

    def read(self, seconds: float) -> bytes:
        """What comes within `seconds`; returns at the first piece."""
        ready, _, _ = select.select([self.fd], [], [], max(0.0, seconds))
        if not ready:
            return b""
        try:
            piece = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        if b"\x1b[c" in piece:  # the one question that every terminal answers
            os.write(self.fd, b"\x1b[?62;22c")
        self.output += piece
        return piece

    def wait_for(self, text: str, seconds: float = 30.0, start: int = 0) -> float:
        """Seconds since the start of the program until `text` has been written."""
        end = time.monotonic() + seconds
        while text.encode() not in self.output[start:]:
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} not seen; last: {bytes(self.output[-400:])!r}")
            self.read(end - time.monotonic())
        return time.monotonic() - self.started

    def quiet(self, silence: float = 0.3, at_most: float = 10.0) -> int:
        """Read until nothing has come for `silence` seconds; the bytes that came."""
        before, end = len(self.output), time.monotonic() + at_most
        while time.monotonic() < end and self.read(silence):
            pass
        return len(self.output) - before

    def send(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def close(self) -> None:
        """End the program and reap it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        os.close(self.fd)
        os.waitpid(self.pid, 0)
