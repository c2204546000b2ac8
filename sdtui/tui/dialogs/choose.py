"""One of several, found by typing a part of its name."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from .base import Dialog


class Choose(Dialog[str]):
    """Gives the chosen text, None when closed."""

    DEFAULT_CSS = """
    Choose > .box { width: 50; }
    Choose Input { background: $panel; margin-bottom: 1; }
    Choose OptionList { height: auto; max-height: 20; }
    Choose .help { color: $text-muted; height: auto; margin-top: 1; }
    """
    BINDINGS = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "take", "Choose"),
    ]

    def __init__(self, title: str, choices: list[str], current: str, help: str) -> None:
        super().__init__()
        self._title, self._choices, self._current, self._help = title, choices, current, help

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            yield Input(placeholder="type to find", compact=True)
            yield OptionList(markup=False)
            yield Static(self._help, classes="help", markup=False)

    def on_mount(self) -> None:
        self._list("")

    def _list(self, text: str) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        found = [name for name in self._choices if text.casefold() in name.casefold()]
        options.add_options([Option(name) for name in found])
        if found:
            options.highlighted = found.index(self._current) if self._current in found else 0

    def on_input_changed(self, event: Input.Changed) -> None:
        self._list(event.value)

    def on_input_submitted(self) -> None:
        self.action_take()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(str(event.option.prompt))

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        if by < 0:
            options.action_cursor_up()
        else:
            options.action_cursor_down()

    def action_take(self) -> None:
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            self.dismiss(str(options.get_option_at_index(options.highlighted).prompt))
