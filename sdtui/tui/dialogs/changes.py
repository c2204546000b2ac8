"""What a preset or an imported text would change, as rows of old and new."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from textual.geometry import Size
from textual.strip import Strip

from sdtui.params.base import ParamSpec, specs
from sdtui.params.layers import Change, Settings, diff
from sdtui.tui.widgets.line import LineWidget, Part
from sdtui.tui.widgets.values import shown


class Changes(LineWidget):
    """Rows of name, old value → new value. As high as it has rows."""

    DEFAULT_CSS = "Changes { height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[list[Part]] = []

    def show(self, old: Settings[Any], new: Settings[Any]) -> list[Change]:
        """Show what differs; the changes."""
        changes = diff(old, new)
        known = specs(old.model)
        rows = [_row(known[change.name], change) for change in changes]
        self._rows = rows or [[("nothing changes: all is set like this", "dim")]]
        self.refresh(layout=True)
        return changes

    @property
    def plain(self) -> str:
        return "\n".join("".join(text for text, _ in row) for row in self._rows)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows)

    def render_line(self, y: int) -> Strip:
        row = self._rows[y] if y < len(self._rows) else []
        return self.strip_of(row, self.size.width)


def _row(spec: ParamSpec, change: Change) -> list[Part]:
    old, new = _short(shown(spec, change.old)), shown(spec, change.new).replace("\n", " ")
    return [(f"{spec.label:<16}", "dim"), (old, ""), (" → ", "dim"), (new or "(empty)", "key")]


def _short(text: str, width: int = 24) -> str:
    text = text.replace("\n", " ") or "(empty)"
    return text if cell_len(text) <= width else text[: width - 1] + "…"
