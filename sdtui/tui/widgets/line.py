"""Lines of text that draw themselves: no layout, and no repaint when nothing has changed."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from sdtui.tui.words import printable

Part = tuple[str, str]
"""Text and its kind: "" plain, or one of KINDS."""
KINDS = ("dim", "key", "good", "bad", "warn", "strong", "cursor", "title", "track")


class LineWidget(Widget):
    """Base of widgets that draw parts of text in the theme's colours."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {f"line--{kind}" for kind in KINDS}
    DEFAULT_CSS = """
    LineWidget {
        & .line--dim { color: $text-muted; }
        & .line--key { color: $accent; }
        & .line--good { color: $success; }
        & .line--bad { color: $error; }
        & .line--warn { color: $warning; }
        & .line--track { color: $border; }
        & .line--strong { text-style: bold; }
        & .line--title { color: $accent; text-style: bold; }
        & .line--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    }
    """

    def style_of(self, kind: str) -> Style:
        """The style of a kind of text on this widget's ground."""
        return self.get_component_rich_style(f"line--{kind}") if kind else self.rich_style

    def strip_of(self, parts: Iterable[Part], width: int) -> Strip:
        """The parts in one row of exactly `width` cells; what does not fit ends in “…”."""
        strip = Strip(
            [Segment(printable(text), self.style_of(kind)) for text, kind in parts if text]
        )
        if strip.cell_length > width > 0:
            strip = Strip([*strip.crop(0, width - 1), Segment("…", self.style_of("dim"))])
        return strip.adjust_cell_length(width, self.rich_style)


class Line(LineWidget):
    """One row, replaced by `put`."""

    DEFAULT_CSS = "Line { height: 1; }"

    def __init__(self, *parts: Part, id: str | None = None) -> None:
        super().__init__(id=id)
        self._parts = list(parts)

    def put(self, *parts: Part) -> None:
        """Show these parts, if they differ from what is shown."""
        if list(parts) != self._parts:
            self._parts = list(parts)
            self.refresh()

    @property
    def plain(self) -> str:
        """What it says."""
        return "".join(text for text, _ in self._parts)

    def render_line(self, y: int) -> Strip:
        if y:
            return Strip.blank(self.size.width, self.rich_style)
        return self.strip_of(self._parts, self.size.width)
