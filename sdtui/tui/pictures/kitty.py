"""Pictures by kitty's graphics protocol as Unicode placeholders.

A picture is sent once, under an id. On the screen it is then text: U+10EEEE with its row and column
as combining characters and the id as foreground colour. Scrolling, clipping, overlapping and tmux
only move that text. Protocol: sw.kovidgoyal.net/kitty/graphics-protocol, “Unicode placeholders”.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from . import tmux
from .diacritics import NUMBERS

if TYPE_CHECKING:
    from PIL.Image import Image

PLACEHOLDER = "\U0010eeee"
MOST_CELLS = len(NUMBERS)
"""Rows and columns a placeholder can number."""
CHUNK = 4096
"""Bytes of base64 in one sequence; the protocol's limit."""
FEW_COLOURS_PX = range(100, 300)
"""Pictures of this size (longer side) are sent with 256 colours: a third of the bytes, no visible
loss. Smaller ones would gain nothing, larger ones are looked at closely."""


def encode(image: Image) -> bytes:
    """An RGB picture as PNG, thumbnails with 256 colours."""
    from PIL.Image import Quantize

    buffer = io.BytesIO()
    if max(image.size) in FEW_COLOURS_PX:
        # The octree takes 1 ms for 256x256 pixels and is 1 dB worse than the median cut's 160 ms.
        image = image.quantize(256, method=Quantize.FASTOCTREE)
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _command(control: str, payload: str = "", *, in_tmux: bool) -> str:
    sequence = f"\x1b_G{control}{';' + payload if payload else ''}\x1b\\"
    return tmux.wrap(sequence) if in_tmux else sequence


def transmit(png: bytes, number: int, columns: int, rows: int, *, in_tmux: bool) -> Iterator[str]:
    """Send a picture under the id `number` and place it on `columns` x `rows` placeholders.

    One sequence of at most 4 kB after another; q=2 keeps the terminal from answering, p=1 names the
    placement so that a later one replaces it.
    """
    data = base64.standard_b64encode(png).decode("ascii")
    control = f"a=T,U=1,f=100,i={number},p=1,c={columns},r={rows},q=2,"
    for start in range(0, len(data), CHUNK):
        more = int(start + CHUNK < len(data))
        yield _command(f"{control}m={more}", data[start : start + CHUNK], in_tmux=in_tmux)
        control = "q=2,"


def place(number: int, columns: int, rows: int, *, in_tmux: bool) -> str:
    """Change the size of a picture already sent."""
    return _command(f"a=p,U=1,i={number},p=1,c={columns},r={rows},q=2", in_tmux=in_tmux)


def delete(number: int, *, in_tmux: bool) -> str:
    """Take a picture out of the terminal's memory."""
    return _command(f"a=d,d=I,i={number},q=2", in_tmux=in_tmux)


@lru_cache(maxsize=64)
def placeholders(number: int, columns: int, rows: int) -> tuple[Strip, ...]:
    """The text that stands for a picture: `rows` strips of `columns` cells.

    Every cell says its row and column: a row clipped on the left shows the right part.
    """
    style = Style.from_color(Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255))
    return tuple(
        Strip(
            [Segment("".join(PLACEHOLDER + NUMBERS[row] + NUMBERS[column]
                             for column in range(columns)), style)],
            columns,
        )
        for row in range(rows)
    )  # fmt: skip
