"""What the field under the cursor does, where its value came from, and what is wrong with it."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from textual.strip import Strip

from sdtui.params.base import specs
from sdtui.params.layers import Settings

from .line import LineWidget, Part
from .values import origin, range_of


class FieldHelp(LineWidget):
    """A few rows of plain words."""

    DEFAULT_CSS = "FieldHelp { height: 4; }"

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._parts: list[Part] = []

    def tell(self, settings: Settings[Any], name: str, problem: str = "") -> None:
        """Explain the field `name`, or the problem with what was typed there."""
        spec = specs(settings.model)[name]
        if problem:
            parts: list[Part] = [(problem[0].upper() + problem[1:] + ".", "bad")]
        else:
            parts = [(spec.help, "")]
            if spec.kind != "prompt":
                parts.append((f" {range_of(spec)} {origin(spec, settings)}", "dim"))
        if parts != self._parts:
            self._parts = parts
            self.refresh()

    @property
    def plain(self) -> str:
        return "".join(text for text, _ in self._parts)

    def render_line(self, y: int) -> Strip:
        rows = wrapped(self._parts, max(10, self.size.width - 2))
        if y >= len(rows):
            return Strip.blank(self.size.width, self.rich_style)
        return self.strip_of([(" ", ""), *rows[y]], self.size.width)


def wrapped(parts: list[Part], width: int) -> list[list[Part]]:
    """The words of `parts` in rows of at most `width` cells."""
    rows: list[list[Part]] = [[]]
    used = 0
    for text, kind in parts:
        for word in text.split():
            length = cell_len(word)
            if used and used + 1 + length > width:
                rows.append([])
                used = 0
            lead = " " if used else ""
            if rows[-1] and rows[-1][-1][1] == kind:  # one stretch: a change of style costs bytes
                rows[-1][-1] = (rows[-1][-1][0] + lead + word, kind)
            else:
                rows[-1].append((lead + word, kind))
            used += len(lead) + length
    return rows
