"""A picture's settings were pasted: what they would change here, and what they name in vain."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Settings

from .base import Dialog, keys
from .changes import Changes


class ImportText(Dialog[str]):
    """Gives "apply" or "text", None when closed."""

    DEFAULT_CSS = """
    ImportText > .box { width: 90; }
    ImportText VerticalScroll { height: auto; max-height: 24; }
    ImportText #remarks { color: $warning; height: auto; margin-top: 1; }
    """
    BINDINGS = [
        Binding("enter", "take('apply')", "Apply"),
        Binding("t", "take('text')", "Text only"),
    ]

    def __init__(
        self, old: Settings[GenerateParams], new: Settings[GenerateParams], remarks: list[str],
        *, pasted: bool,
    ) -> None:  # fmt: skip
        """`pasted`: it may also be taken as plain text."""
        super().__init__()
        self._old, self._new, self._remarks, self._pasted = old, new, remarks, pasted

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Settings of a picture"
            with VerticalScroll(can_focus=True):
                yield Changes()
                if self._remarks:
                    yield Static("\n".join(self._remarks), id="remarks", markup=False)
            also = [("t", "paste it as text")] if self._pasted else []
            yield Static(keys(("Enter", "apply"), *also, ("Esc", "do nothing")), classes="keys")

    def on_mount(self) -> None:
        self.query_one(Changes).show(self._old, self._new)

    def action_take(self, what: str) -> None:
        if what == "apply" or self._pasted:
            self.dismiss(what)
