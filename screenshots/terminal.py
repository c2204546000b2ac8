"""A program in tmux, driven by keys, and its screen as a picture.

tmux is the terminal emulator: what it shows is what a person sees. `Terminal.picture()` draws
`capture-pane -e` with a fixed-width font; blocks and braille are drawn as shapes, so that lines
meet. Used by make.py and by whoever wants to look at a screen.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

CELL_W, CELL_H, FONT_PX = 10, 20, 16
FONTS = [Path("/usr/share/fonts/truetype/dejavu") / f"DejaVuSansMono{kind}.ttf" for kind in
         ("", "-Bold", "-Oblique", "-BoldOblique")]  # fmt: skip
BACKGROUND, FOREGROUND = (12, 12, 14), (220, 220, 220)
BASIC = [(0, 0, 0), (205, 49, 49), (13, 188, 121), (229, 229, 16), (36, 114, 200), (188, 63, 188),
         (17, 168, 205), (229, 229, 229), (102, 102, 102), (241, 76, 76), (35, 209, 139),
         (245, 245, 67), (59, 142, 234), (214, 112, 214), (41, 184, 219),
         (255, 255, 255)]  # fmt: skip
Colour = tuple[int, int, int]


class Terminal:
    """A tmux session of its own server, `columns` x `rows`, running one command."""

    def __init__(
        self, argv: list[str], columns: int = 120, rows: int = 36, env: dict[str, str] | None = None
    ) -> None:
        self.socket = f"sdtui-{uuid.uuid4().hex[:10]}"
        usual = {"COLORTERM": "truecolor", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
        variables = [f"{k}={shlex.quote(v)}" for k, v in {**usual, **(env or {})}.items()]
        command = " ".join([*variables, shlex.join(argv), "; echo [ended $?]; exec sh"])
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  command)  # fmt: skip
        self.tmux("set-option", "-g", "status", "off")

    def tmux(self, *arguments: str) -> str:
        """Run one tmux command on this server; its output."""
        environment = {k: v for k, v in os.environ.items() if k != "TMUX"}
        return subprocess.run(
            ["tmux", "-u", "-L", self.socket, *arguments],
            check=True, capture_output=True, text=True, env=environment,
        ).stdout  # fmt: skip

    def keys(self, *names: str) -> None:
        """Press keys by tmux's names (“F9”, “C-j”, “Tab”)."""
        self.tmux("send-keys", *names)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def wait_for(self, pattern: str, seconds: float = 60.0) -> str:
        """The screen's text as soon as the regular expression matches. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not re.search(pattern, text := self.text()):
            if time.monotonic() > end:
                raise TimeoutError(f"{pattern!r} not on the screen after {seconds:.0f} s:\n{text}")
            time.sleep(0.1)
        return text

    def picture(self) -> Image.Image:
        """The screen as it is now."""
        return draw(self.tmux("capture-pane", "-e", "-p", "-N"))

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self.socket, "kill-server"], check=False, capture_output=True)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _palette(index: int) -> Colour:
    if index < 16:
        return BASIC[index]
    if index >= 232:
        return (8 + 10 * (index - 232),) * 3
    index -= 16
    level = [0, 95, 135, 175, 215, 255]
    return level[index // 36], level[index // 6 % 6], level[index % 6]


class _Pen:
    """The SGR state while a captured line is read."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.fg: Colour | None = None
        self.bg: Colour | None = None
        self.bold = self.dim = self.italic = self.underline = self.reverse = False

    def sgr(self, codes: list[int]) -> None:
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code in (1, 2, 3, 4, 7):
                name = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}[code]
                setattr(self, name, True)
            elif code == 22:
                self.bold = self.dim = False
            elif code in (23, 24, 27):
                setattr(self, {23: "italic", 24: "underline", 27: "reverse"}[code], False)
            elif code in (38, 48):
                kind = codes.pop(0)
                length = 1 if kind == 5 else 3
                colour = _palette(codes[0]) if kind == 5 else tuple(codes[:3])
                del codes[:length]
                setattr(self, "fg" if code == 38 else "bg", colour)
            elif 30 <= code <= 37 or 90 <= code <= 97:
                self.fg = BASIC[code - 30 if code < 90 else code - 82]
            elif 40 <= code <= 47 or 100 <= code <= 107:
                self.bg = BASIC[code - 40 if code < 100 else code - 92]
            elif code == 39:
                self.fg = None
            elif code == 49:
                self.bg = None

    def colours(self) -> tuple[Colour, Colour]:
        fg, bg = self.fg or FOREGROUND, self.bg or BACKGROUND
        if self.reverse:
            fg, bg = bg, fg
        if self.dim:
            fg = tuple((f + b) // 2 for f, b in zip(fg, bg, strict=True))  # type: ignore[assignment]
        return fg, bg


def _shape(pen: Any, char: str, x: int, y: int, fg: Colour) -> bool:
    """Draw block elements and braille exactly; False for other characters."""
    code = ord(char)
    if char == "▀":
        pen.rectangle((x, y, x + CELL_W - 1, y + CELL_H // 2 - 1), fg)
    elif char == "█":
        pen.rectangle((x, y, x + CELL_W - 1, y + CELL_H - 1), fg)
    elif 0x2581 <= code <= 0x2587:
        height = CELL_H * (code - 0x2580) // 8
        pen.rectangle((x, y + CELL_H - height, x + CELL_W - 1, y + CELL_H - 1), fg)
    elif 0x2589 <= code <= 0x258F:
        width = CELL_W * (0x2590 - code) / 8
        pen.rectangle((x, y, x + round(width) - 1, y + CELL_H - 1), fg)
    elif char == "▐":
        pen.rectangle((x + CELL_W // 2, y, x + CELL_W - 1, y + CELL_H - 1), fg)
    elif 0x2800 <= code <= 0x28FF:
        for bit, (column, row) in enumerate(
            [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
        ):
            if code >> bit & 1:
                px, py = x + 2 + column * 5, y + 2 + row * 5
                pen.rectangle((px, py, px + 1, py + 1), fg)
    else:
        return False
    return True


def draw(captured: str) -> Image.Image:
    """A captured screen (text with SGR sequences) as a picture."""
    lines = captured.rstrip("\n").split("\n")
    plain = [re.sub(r"\x1b\[[0-9;:]*m", "", line) for line in lines]
    width = max(map(len, plain))
    image = Image.new("RGB", (width * CELL_W, len(lines) * CELL_H), BACKGROUND)
    brush = ImageDraw.Draw(image)
    fonts = [ImageFont.truetype(str(path), FONT_PX) for path in FONTS]
    pen = _Pen()  # tmux leaves out what a line has in common with the end of the line before
    for row, line in enumerate(lines):
        column = 0
        for piece in re.split(r"(\x1b\[[0-9;:]*m)", line):
            if piece.startswith("\x1b["):
                pen.sgr([int(code or 0) for code in re.split("[;:]", piece[2:-1])])
                continue
            for char in piece:
                x, y = column * CELL_W, row * CELL_H
                fg, bg = pen.colours()
                brush.rectangle((x, y, x + CELL_W - 1, y + CELL_H - 1), bg)
                if char != " " and not _shape(brush, char, x, y, fg):
                    brush.text((x, y), char, fg, fonts[pen.bold + 2 * pen.italic])
                if pen.underline:
                    brush.line((x, y + CELL_H - 2, x + CELL_W - 1, y + CELL_H - 2), fg)
                column += 1
    return image
