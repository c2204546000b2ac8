"""The present settings under a name, and on a digit if wanted."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static

from sdtui.library import presets
from sdtui.library.places import Places
from sdtui.params.base import specs
from sdtui.params.generate import GenerateParams
from sdtui.tui.widgets.values import shown

from .base import Dialog, keys


class SavePreset(Dialog[str]):
    """Writes the preset and gives its name, None when closed."""

    DEFAULT_CSS = """
    SavePreset Horizontal { height: 1; margin-bottom: 1; }
    SavePreset Label { width: 8; color: $text-muted; }
    SavePreset Input { background: $panel; width: 1fr; }
    SavePreset #digit { width: 6; }
    SavePreset #values { height: auto; max-height: 14; color: $text-muted; }
    SavePreset #problem { color: $error; height: auto; }
    """
    BINDINGS = [Binding("ctrl+s", "save", "Save")]

    def __init__(self, places: Places, values: dict[str, Any]) -> None:
        super().__init__()
        self._places, self._values = places, values
        self._replace = False

    def compose(self) -> ComposeResult:
        known = specs(GenerateParams)
        lines = [f"{known[k].label}: {shown(known[k], v)}" for k, v in self._values.items()]
        with Vertical(classes="box") as box:
            box.border_title = "Save the present settings as a preset"
            with Horizontal():
                yield Label("Name")
                yield Input(placeholder="a short name", id="name", compact=True)
            with Horizontal():
                yield Label("Digit")
                yield Input(placeholder="1-9", id="digit", compact=True, max_length=1,
                            restrict=r"[1-9]?")  # fmt: skip
            yield Static(
                ("\n".join(lines) or "Nothing was set by you or a preset yet.")
                + "\n\nPrompt, seed and checkpoint are no part of it.",
                id="values", markup=False,
            )  # fmt: skip
            yield Static(id="problem", markup=False)
            yield Static(keys(("Enter", "save"), ("Esc", "do not save")), classes="keys")

    def on_input_changed(self) -> None:
        self._replace = False
        self.query_one("#problem", Static).update("")

    def on_input_submitted(self) -> None:
        self.action_save()

    def action_save(self) -> None:
        name = self.query_one("#name", Input).value.strip()
        digit = self.query_one("#digit", Input).value
        try:
            presets.save(
                self._places, name, self._values, key=int(digit) if digit else None,
                replace=self._replace,
            )  # fmt: skip
        except presets.PresetError as error:
            taken = "already" in str(error)
            self._replace = taken
            more = "; Enter again replaces it" if taken else ""
            self.query_one("#problem", Static).update(f"{error}{more}".capitalize())
        except OSError as error:
            self.query_one("#problem", Static).update(
                f"{self._places.presets} cannot be written: {error.strerror}"
            )
        else:
            self.dismiss(name)
