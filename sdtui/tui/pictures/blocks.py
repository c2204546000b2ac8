"""Pictures as coloured half blocks by term-image: two pixels in each cell, on every terminal.

The only module of the full-screen program that imports term_image, and only on the first picture
(0.36 s of CPU). term-image gives lines of SGR runs, which become Strips here: raw escape codes in a
Segment would be counted as characters when the widget is clipped.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from .files import reduce

if TYPE_CHECKING:
    from PIL.Image import Image

_RUN = re.compile(r"\x1b\[48;2;(\d+);(\d+);(\d+)m(?:\x1b\[38;2;(\d+);(\d+);(\d+)m)?([ \u2580]+)")
"""A run of equal cells: background, foreground if the halves differ, blanks or upper halves."""


@cache
def _block_image() -> Any:
    with warnings.catch_warnings():
        # Without a terminal (tests, pipes) term-image warns that it cannot ask it anything.
        warnings.simplefilter("ignore")
        import term_image
        from term_image.image import BlockImage
    # Its questions to the terminal would be answered into the text fields.
    term_image.disable_queries()
    return BlockImage


def blocks(image: Image, columns: int, rows: int) -> list[Strip]:
    """An RGB picture as `rows` strips of `columns` cells, scaled to fill them."""
    block_image = _block_image()(reduce(image, (columns, rows * 2)))
    block_image.set_size(columns, rows)
    lines = format(block_image, f"{columns}.{rows}#").split("\n")
    return [_strip(line, columns) for line in lines]


def _strip(line: str, columns: int) -> Strip:
    from_rgb, from_color = Color.from_rgb, Style.from_color
    segments = []
    for red, green, blue, fg_red, fg_green, fg_blue, text in _RUN.findall(line):
        segments.append(
            Segment(
                text,
                from_color(
                    from_rgb(int(fg_red), int(fg_green), int(fg_blue)) if fg_red else None,
                    from_rgb(int(red), int(green), int(blue)),
                ),
            )
        )
    return Strip(segments, columns)
