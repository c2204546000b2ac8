"""A question with a few answers, each on a key."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from .base import Dialog, keys


class Ask(Dialog[str]):
    """Gives the key of the chosen answer, None when closed."""

    DEFAULT_CSS = """
    Ask VerticalScroll { height: auto; max-height: 18; }
    Ask #more { color: $text-muted; height: auto; margin-top: 1; }
    """

    def __init__(
        self, title: str, text: str, answers: dict[str, str], *, more: str = "", stay: str = "close"
    ) -> None:
        """`answers`: key → what it does; `more`: further lines, e.g. of a log."""
        super().__init__()
        self._title, self._text, self._answers, self._more = title, text, answers, more
        self._stay = stay

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            yield Static(self._text, markup=False)
            if self._more:
                with VerticalScroll():
                    yield Static(self._more, id="more", markup=False)
            yield Static(keys(*self._answers.items(), ("Esc", self._stay)), classes="keys")

    def on_key(self, event: events.Key) -> None:
        if event.key in self._answers:
            event.stop()
            self.dismiss(event.key)
