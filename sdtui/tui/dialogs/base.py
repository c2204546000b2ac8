"""The box that every dialog is."""

from __future__ import annotations

from typing import TypeVar

from textual.binding import Binding
from textual.reactive import Reactive
from textual.screen import ModalScreen

T = TypeVar("T")


class Dialog(ModalScreen[T | None]):
    """A box over the screen; Esc closes it with None.

    The ground stays transparent: a blend would change the colours that carry picture ids.
    """

    DEFAULT_CSS = """
    Dialog { align: center middle; background: transparent; }
    Dialog > .box {
        width: 76; max-width: 96%; height: auto; max-height: 92%;
        border: round $border; border-title-color: $accent; border-title-style: bold;
        background: $surface; padding: 0 1;
    }
    Dialog .keys { height: auto; color: $text-muted; margin-top: 1; }
    Dialog OptionList { scrollbar-size-vertical: 1; }
    """
    BINDINGS = [Binding("escape", "close", "Close")]
    focused = Reactive(None, repaint=False)

    def action_close(self) -> None:
        self.dismiss(None)


def keys(*pairs: tuple[str, str]) -> str:
    """“Enter apply   Esc close” as markup for a dialog's last row."""
    return "   ".join(f"[$accent]{key}[/] {what}" for key, what in pairs)
