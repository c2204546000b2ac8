"""The row over a part of the screen, and a focus that repaints no more than it must."""

from __future__ import annotations

from typing import cast

from textual import events
from textual.widget import Widget

from .line import Line


class Title(Line):
    """A rule with a name, lit while what lies below it has the focus.

    A row of its own: a border that lights up would repaint all that it surrounds.
    """

    def __init__(self, name: str, of: str) -> None:
        """`of`: the id of the focusable widget below."""
        super().__init__(id=f"title-{of}")
        self._name_shown = name
        self._lit = False

    def on_resize(self) -> None:
        self.light(self._lit)

    def say(self, name: str) -> None:
        """Another name."""
        if name != self._name_shown:
            self._name_shown = name
            self.light(self._lit)

    def light(self, lit: bool) -> None:
        self._lit = lit
        kind = "key" if lit else "track"
        name = f" {self._name_shown} " if self._name_shown else ""
        rest = max(0, self.size.width - len(name) - 1)
        self.put(("─", kind), (name, "key" if lit else "dim"), ("─" * rest, kind))


class QuietFocus:
    """Mixed into a widget: gaining and losing the focus paints nothing by itself.

    Textual's own handlers repaint the whole widget. `focus_changed` paints what differs. Not a
    Widget itself: Textual follows only the first widget among the bases for styles.
    """

    def on_focus(self, event: events.Focus) -> None:
        self._focus(event, True, events.DescendantFocus)

    def on_blur(self, event: events.Blur) -> None:
        self._focus(event, False, events.DescendantBlur)

    def _focus(
        self, event: events.Event, has: bool,
        tell: type[events.DescendantFocus | events.DescendantBlur],
    ) -> None:  # fmt: skip
        widget = cast(Widget, self)
        event.prevent_default()
        widget.has_focus = has
        if widget.parent is not None:
            widget.parent.post_message(tell(widget))
        self.focus_changed()

    def focus_changed(self) -> None:
        """The focus has come or gone."""
