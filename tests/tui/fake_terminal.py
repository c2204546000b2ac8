"""A terminal with kitty graphics, made of a pty and an emulator: what is seen, as pixels.

Text goes through pyte. Graphics sequences are decoded as kitty does: PNG pieces are put together,
placements remembered, placeholders on the screen turned back into the pixels they stand for. What
kitty would refuse is collected in `faults`. The probe's questions are answered, or answered late,
or not at all.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pyte
from PIL import Image

from sdtui.tui.pictures.diacritics import NUMBERS

PLACEHOLDER = "\U0010eeee"
KITTY = "kitty(0.41.0)"
ABSENT = ("TMUX", "TMUX_PANE", "COLORTERM", "NO_COLOR", "STY", "SSH_TTY", "SSH_CONNECTION",
          "TERM_PROGRAM")  # fmt: skip
_SEQUENCE = re.compile(
    rb"\x1b_(?P<apc>[^\x1b]*)\x1b\\"
    rb"|\x1bP(?P<dcs>(?:[^\x1b]|\x1b\x1b)*)\x1b\\"
    rb"|\x1b\](?P<osc>[^\x1b\x07]*)(?:\x1b\\|\x07)"
    rb"|\x1b\[(?P<csi>[<>=?]?[\d;:]*[ $>]*[@-~])"
)
_UNFINISHED = re.compile(rb"\x1b(?:[_P\]].*|\[[\d;:<>=?$ ]*)?\Z", re.DOTALL)


@dataclass
class Held:
    """A picture in the terminal's memory."""

    image: Image.Image
    cells: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Columns and rows of each placement."""


class FakeTerminal:
    """Runs a program. `name` “” is a terminal that answers DA1 only; `silent`: not even that."""

    def __init__(
        self,
        argv: list[str],
        size: tuple[int, int] = (80, 24),
        *,
        name: str = KITTY,
        cell: tuple[int, int] = (8, 16),
        env: dict[str, str] | None = None,
        silent: bool = False,
        late_s: float = 0.0,
    ) -> None:
        self.size, self.cell, self.name, self.silent, self.late_s = size, cell, name, silent, late_s
        self.screen = pyte.Screen(*size)
        self._normal = self.screen
        self._stream = pyte.ByteStream(self.screen)
        self.images: dict[int, Held] = {}
        self.received = bytearray()
        self.sent = self.placed = self.graphics_bytes = 0
        """Pictures sent, placements made, bytes of graphics sequences."""
        self.faults: list[str] = []
        self._pieces: tuple[dict[str, str], list[str]] | None = None
        self._rest = b""
        self._due: list[tuple[float, bytes]] = []
        environment = {k: v for k, v in os.environ.items() if k not in ABSENT} | {
            "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1", **(env or {}),
        }  # fmt: skip
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, self._winsize())
                os.execvpe(argv[0], argv, environment)
            finally:
                os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, self._winsize())

    def _winsize(self) -> bytes:
        columns, rows = self.size
        return struct.pack("HHHH", rows, columns, columns * self.cell[0], rows * self.cell[1])

    # -- for tests -----------------------------------------------------------------------------

    def wait(self, until: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        """Run the terminal until `until()` is true. Raises TimeoutError with the screen."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {seconds} s; screen:\n{self.text()}")
            self.pump(0.05)

    def settle(self, silence: float = 0.4, at_most: float = 10.0) -> int:
        """Run until nothing has come for `silence` seconds; the bytes that came."""
        before, end = len(self.received), time.monotonic() + at_most
        quiet = time.monotonic() + silence
        while time.monotonic() < end and (time.monotonic() < quiet or self._due):
            if self.pump(0.05):
                quiet = time.monotonic() + silence
        return len(self.received) - before

    def watch(self, seconds: float) -> None:
        """Run the terminal for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.pump(min(left, 0.05))

    def send(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        self.size = (columns, rows)
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, self._winsize())

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def placeholders(self) -> dict[tuple[int, int], tuple[int, int, int]]:
        """Which cells (x, y) hold a placeholder, and of which picture, row and column."""
        found = {}
        for y in range(self.size[1]):
            for x in range(self.size[0]):
                char = self.screen.buffer[y][x]
                if char.data.startswith(PLACEHOLDER) and len(char.data) == 3:
                    row, column = (NUMBERS.index(mark) for mark in char.data[1:])
                    found[x, y] = (int(char.fg, 16), row, column)
        return found

    def pixels(self) -> Image.Image:
        """The pictures on the screen as pixels; black where there is none."""
        cell_w, cell_h = self.cell
        canvas = Image.new("RGB", (self.size[0] * cell_w, self.size[1] * cell_h))
        drawn: dict[int, Image.Image] = {}
        for (x, y), (number, row, column) in self.placeholders().items():
            if number not in self.images:
                self.faults.append(f"placeholder of picture {number}, which is not held")
                continue
            if number not in drawn:
                drawn[number] = self._on_its_cells(self.images[number])
            left, top = column * cell_w, row * cell_h
            part = drawn[number].crop((left, top, left + cell_w, top + cell_h))
            canvas.paste(part, (x * cell_w, y * cell_h))
        return canvas

    def _on_its_cells(self, held: Held) -> Image.Image:
        """A picture as kitty draws it: scaled to fit its cells, proportions kept, centred."""
        columns, rows = held.cells["1"]
        width, height = columns * self.cell[0], rows * self.cell[1]
        scale = min(width / held.image.width, height / held.image.height)
        size = (max(1, round(held.image.width * scale)), max(1, round(held.image.height * scale)))
        area = Image.new("RGB", (width, height))
        scaled = held.image.convert("RGB").resize(size, Image.Resampling.BILINEAR)
        area.paste(scaled, ((width - size[0]) // 2, (height - size[1]) // 2))
        return area

    def exit_code(self, seconds: float = 20.0) -> int:
        """Run until the program has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pump(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                while self.pump(0.05):
                    pass
                return os.waitstatus_to_exitcode(status)
        raise TimeoutError(f"still running after {seconds} s; screen:\n{self.text()}")

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def __enter__(self) -> FakeTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the emulator --------------------------------------------------------------------------

    def pump(self, seconds: float) -> bool:
        """Take in what comes within `seconds`; False if nothing came."""
        for due in [due for due in self._due if due[0] <= time.monotonic()]:
            self._due.remove(due)
            os.write(self.fd, due[1])
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.received += data
        self._take(self._rest + data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        place = 0
        for match in _SEQUENCE.finditer(data):
            self._stream.feed(data[place : match.start()])
            place = match.end()
            kind = str(match.lastgroup)
            getattr(self, f"_{kind}")(match[kind], match[0])
        rest = data[place:]
        unfinished = _UNFINISHED.search(rest)
        cut = unfinished.start() if unfinished else len(rest)
        self._stream.feed(rest[:cut])
        self._rest = rest[cut:]

    def _answer(self, text: str) -> None:
        if not self.silent:
            self._due.append((time.monotonic() + self.late_s, text.encode()))

    def _apc(self, body: bytes, _: bytes) -> None:
        if body.startswith(b"G"):
            self.graphics_bytes += len(body) + 4
            self._graphics(body[1:].decode("ascii"))

    def _dcs(self, body: bytes, _: bytes) -> None:
        if body == b"$qm" and self.name:
            self._answer("\x1bP1$r0;48:2:1:2:3m\x1b\\")

    def _osc(self, body: bytes, _: bytes) -> None:
        if body == b"11;?" and self.name:
            self._answer("\x1b]11;rgb:0c0c/0c0c/0e0e\x1b\\")

    def _csi(self, body: bytes, whole: bytes) -> None:
        if body in (b"c", b"0c"):
            self._answer("\x1b[?62;c")
        elif body in (b">q", b">0q") and self.name:
            self._answer(f"\x1bP>|{self.name}\x1b\\")
        elif body == b"16t" and self.name:
            self._answer(f"\x1b[6;{self.cell[1]};{self.cell[0]}t")
        elif body in (b"?1049h", b"?1049l"):
            self._change_screen(alternate=body.endswith(b"h"))
        elif body[:1] not in b"<>=" and not body.endswith((b"p", b"u", b"t", b"q", b"c")):
            self._stream.feed(whole)

    def _change_screen(self, *, alternate: bool) -> None:
        if alternate:
            self._normal = self.screen
            self.screen = pyte.Screen(*self.size)
        else:
            self.screen = self._normal
        self._stream = pyte.ByteStream(self.screen)

    def _graphics(self, text: str) -> None:
        control, _, payload = text.partition(";")
        keys = dict(pair.split("=", 1) for pair in control.split(",") if pair)
        if keys.get("a") == "q":
            if self.name.startswith("kitty"):
                self._answer(f"\x1b_Gi={keys['i']};OK\x1b\\")
            return
        if keys.get("q") != "2":
            self.faults.append(f"would be answered: {control}")
        if len(payload) > 4096 or len(payload) % 4:
            self.faults.append(f"piece of {len(payload)} bytes")
        if self._pieces is not None and keys.get("a") != "d":
            first, pieces = self._pieces
            if set(keys) - {"m", "q"}:
                self.faults.append(f"between the pieces of a picture: {control}")
            self._piece(first, [*pieces, payload], more=keys.get("m") == "1")
        elif keys.get("a") == "T":
            self._piece(keys, [payload], more=keys.get("m") == "1")
        elif keys.get("a") == "p":
            self._place(int(keys["i"]), keys)
        elif keys.get("a") == "d" and keys.get("d") == "I":
            self._pieces = None  # also ends a transmission that was cut off
            self.images.pop(int(keys["i"]), None)
        else:
            self.faults.append(f"unknown command: {control}")

    def _piece(self, first: dict[str, str], pieces: list[str], *, more: bool) -> None:
        self._pieces = (first, pieces) if more else None
        if more:
            return
        if "i" not in first:
            self.faults.append("placed at the cursor, without an id")
            return
        number = int(first["i"])
        try:
            image = Image.open(io.BytesIO(base64.b64decode("".join(pieces), validate=True)))
            image.load()
        except (OSError, binascii.Error) as error:
            self.faults.append(f"picture {number}: {error}")
            return
        if first.get("f") != "100" or image.format != "PNG":
            self.faults.append(f"format {first.get('f')}, {image.format}")
        self.sent += 1
        self.images[number] = Held(image)
        self._place(number, first)

    def _place(self, number: int, keys: dict[str, str]) -> None:
        if keys.get("U") != "1":
            self.faults.append("placed at the cursor, not on placeholders")
        if number not in self.images:
            self.faults.append(f"placed without being held: {number}")
            return
        self.placed += 1
        self.images[number].cells[keys.get("p", "")] = (int(keys["c"]), int(keys["r"]))


class TmuxTerminal(FakeTerminal):
    """The same as a program in tmux sees it: only what is wrapped reaches the terminal, a bare
    graphics sequence would become the pane's title. (The `tmux` command must be played too.)"""

    def _apc(self, body: bytes, whole: bytes) -> None:
        self.faults.append(f"the title is now {body[:40]!r}")

    def _dcs(self, body: bytes, whole: bytes) -> None:
        if not body.startswith(b"tmux;"):
            return
        inner = body[5:].replace(b"\x1b\x1b", b"\x1b")
        found = re.fullmatch(rb"\x1b_([^\x1b]*)\x1b\\", inner)
        if found is None or len(inner) > 4096 + 200:
            self.faults.append(f"wrapped {len(inner)} bytes: {inner[:40]!r}")
        else:
            super()._apc(found[1], inner)
