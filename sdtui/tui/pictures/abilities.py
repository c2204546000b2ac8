"""What the terminal can do, asked once before the screen starts.

Everything is asked in one write that ends with DA1, the one question every terminal answers: when
its answer is there, all are. So no reply can arrive late and be typed into the prompt. Nothing here
imports textual: COLORTERM must be set before that is imported.

Sources: XTerm control sequences (DA1, XTVERSION, DECRQSS, OSC 11, CSI 16 t), kitty graphics
protocol (query action, Unicode placeholders).
"""

from __future__ import annotations

import fcntl
import locale
import os
import re
import select
import struct
import termios
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Literal

from . import tmux

Mode = Literal["kitty", "blocks", "off"]
"""How pictures are drawn: kitty graphics, coloured half blocks, or a line of words."""
CHOICES = ("auto", "kitty", "blocks", "off")

CELL_PX = (10, 20)
"""Width and height of a cell in pixels where the terminal does not say."""
PLACEHOLDERS_SINCE = {"kitty": (0, 28), "ghostty": (1, 0)}
"""Terminals that draw Unicode placeholders. Others answer the graphics query but lack these."""
TRUECOLOR_NAMES = {"kitty", "ghostty", "wezterm", "foot", "iterm2", "contour", "konsole", "rio"}
TRUECOLOR_TERMS = ("xterm-kitty", "xterm-ghostty", "foot", "alacritty")

_GRAPHICS = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_VERSION = "\x1b[>q"
_COLOUR = "\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m"
_CELL = "\x1b[16t"
_BACKGROUND = "\x1b]11;?\x1b\\"
_DA1 = "\x1b[c"

_END = re.compile(rb"\x1b\[\?[\d;]*c")
_KITTY_OK = re.compile(r"\x1b_Gi=31[^;]*;OK\x1b\\")
_NAME = re.compile(r"\x1bP>\|([^\x1b]*)\x1b\\")
_SGR = re.compile(r"\x1bP1\$r[^\x1b]*48[:;]2[:;]+1[:;]2[:;]3")
_CELL_REPLY = re.compile(r"\x1b\[6;(\d+);(\d+)t")
_RGB = re.compile(r"\x1b\]11;rgba?:([0-9a-f]+)/([0-9a-f]+)/([0-9a-f]+)", re.I)
_NAME_VERSION = re.compile(r"([A-Za-z][\w-]*)[ (/]+v?(\d+(?:\.\d+)*)")


@dataclass(frozen=True)
class Abilities:
    """What was found out. The default is a terminal of which nothing is known."""

    asked: bool = False
    """False where no question was put: no terminal, TERM=dumb."""
    answered: bool = False
    """The terminal answered within the time; False with `asked`: replies may still come."""
    name: str = ""
    version: tuple[int, ...] = ()
    kitty: bool = False
    """Kitty graphics with Unicode placeholders, and colours that carry the image's id."""
    truecolor: bool = False
    tmux: bool = False
    cell_px: tuple[int, int] = CELL_PX
    utf8: bool = True
    dark: bool | None = None
    """Whether the background is dark; None if the terminal does not say."""

    def mode(self, choice: str = "auto") -> Mode:
        """The way to draw for `--pictures choice` on this terminal.

        NO_COLOR changes the colours that carry a picture's id, so blocks are taken then.
        """
        if choice == "off" or not self.utf8:
            return "off"
        if os.environ.get("NO_COLOR"):
            return "blocks"
        if choice == "kitty" or (choice == "auto" and self.kitty):
            return "kitty"
        return "blocks"

    def apply_environment(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Tell textual (not yet imported) of true colour; SSH does not carry COLORTERM."""
        if self.truecolor and not environ.get("COLORTERM"):
            environ["COLORTERM"] = "truecolor"


def find_abilities() -> Abilities:
    """Ask the terminal of this process. Takes one round trip, at most 1 s (2 s over SSH)."""
    plain = Abilities(utf8=speaks_utf8())
    if not (os.isatty(0) and os.isatty(2)) or os.environ.get("TERM", "") in ("", "dumb"):
        return plain
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return plain
    try:
        replies = _ask(fd, _questions())
        cell = cell_px_now(fd)
    except (OSError, termios.error):
        return plain
    finally:
        os.close(fd)
    if tmux.inside():
        return read_tmux(tmux.ask(), replies, cell)
    return read_replies(replies, cell)


def speaks_utf8() -> bool:
    """Whether the locale's character set is UTF-8."""
    return locale.getencoding().lower().replace("-", "") == "utf8"


def _questions() -> str:
    if tmux.inside():
        return _BACKGROUND + _DA1
    term = os.environ.get("TERM", "")
    # GNU screen and old Linux consoles would print the graphics query instead of ignoring it.
    graphics = "" if term.startswith(("screen", "linux")) or os.environ.get("STY") else _GRAPHICS
    return graphics + _VERSION + _COLOUR + _CELL + _BACKGROUND + _DA1


def _ask(fd: int, questions: str) -> bytes:
    """Write the questions, read until DA1 is answered or the time is over; what was read."""
    slow = any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "MOSH_IP"))
    end = time.monotonic() + (2.0 if slow else 1.0)
    before = termios.tcgetattr(fd)
    raw = termios.tcgetattr(fd)
    raw[3] &= ~(termios.ECHO | termios.ICANON)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 0, 0
    replies = b""
    try:
        termios.tcsetattr(fd, termios.TCSANOW, raw)
        os.write(fd, questions.encode())
        while not _END.search(replies) and (left := end - time.monotonic()) > 0:
            if select.select([fd], [], [], left)[0]:
                replies += os.read(fd, 4096)
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)
    return replies


def cell_px_now(fd: int) -> tuple[int, int] | None:
    """Width and height of a cell in pixels by TIOCGWINSZ; None if the terminal sets none."""
    rows, columns, width, height = struct.unpack(
        "HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
    )
    return _sane(width // columns, height // rows) if columns and rows else None


def _sane(width: int, height: int) -> tuple[int, int] | None:
    return (width, height) if 3 <= width <= 100 and 5 <= height <= 200 else None


def split_name(text: str) -> tuple[str, tuple[int, ...]]:
    """“kitty(0.41.0)” as (“kitty”, (0, 41, 0)); (“”, ()) if that is not its form."""
    found = _NAME_VERSION.search(text)
    if not found:
        return "", ()
    return found[1].lower(), tuple(int(part) for part in found[2].split("."))


def _has_placeholders(name: str, version: tuple[int, ...]) -> bool:
    return name in PLACEHOLDERS_SINCE and version >= PLACEHOLDERS_SINCE[name]


def _dark(text: str) -> bool | None:
    found = _RGB.search(text)
    if not found:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5


def read_replies(replies: bytes, cell: tuple[int, int] | None = None) -> Abilities:
    """What a terminal's replies mean. `cell`: a cell's pixels as the kernel knows them."""
    text = replies.decode("latin-1")
    said = _NAME.search(text)
    name, version = split_name(said[1]) if said else ("", ())
    truecolor = (
        os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
        or bool(_SGR.search(text))
        or name in TRUECOLOR_NAMES
    )
    size = _CELL_REPLY.search(text)
    return Abilities(
        asked=True,
        answered=bool(_END.search(replies)),
        name=name,
        version=version,
        kitty=truecolor and bool(_KITTY_OK.search(text)) and _has_placeholders(name, version),
        truecolor=truecolor,
        cell_px=cell or (size and _sane(int(size[2]), int(size[1]))) or CELL_PX,
        utf8=speaks_utf8(),
        dark=_dark(text),
    )


def read_tmux(
    client: tmux.Client | None, replies: bytes = b"", cell: tuple[int, int] | None = None
) -> Abilities:
    """What tmux says of the terminal behind it; allows our pane to pass sequences on."""
    answered = bool(_END.search(replies))
    if client is None:
        return Abilities(asked=True, answered=answered, tmux=True, cell_px=cell or CELL_PX,
                         utf8=speaks_utf8())  # fmt: skip
    name, version = split_name(client.termtype)
    # The name alone is no proof: with TERM=xterm-256color tmux sends 256 colours even to kitty.
    truecolor = "RGB" in client.features or client.termname.startswith(TRUECOLOR_TERMS)
    kitty = truecolor and _has_placeholders(name, version) and tmux.allow_passthrough(client)
    return Abilities(
        asked=True,
        answered=answered,
        name=name,
        version=version,
        kitty=kitty,
        truecolor=truecolor,
        tmux=True,
        cell_px=cell or CELL_PX,
        utf8=speaks_utf8(),
        dark=_dark(replies.decode("latin-1")),
    )
