"""F9: the presets, and what each would change before it is applied."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from sdtui.library.presets import Preset, apply
from sdtui.params.base import ParamError
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Settings

from .base import Dialog, keys
from .changes import Changes


class Presets(Dialog[Preset]):
    """Gives the preset to apply, None when closed."""

    DEFAULT_CSS = """
    Presets > .box { width: 96; height: 22; }
    Presets Horizontal { height: 1fr; }
    Presets OptionList { width: 26; height: 1fr; margin-right: 2; }
    Presets #about { height: auto; margin-bottom: 1; }
    Presets #broken { color: $warning; height: auto; max-height: 4; }
    """
    BINDINGS = [
        *[Binding(str(digit), f"digit({digit})", show=False) for digit in range(1, 10)],
        Binding("s", "save", "Save the present settings"),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(
        self, presets: list[Preset], problems: list[str], settings: Settings[GenerateParams],
        digit: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._presets, self._problems, self._settings = presets, problems, settings
        self._picked = digit

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Presets"
            with Horizontal():
                yield OptionList(
                    *[Option(Content(f"{p.key or ' '} {p.name}")) for p in self._presets],
                )
                with VerticalScroll(can_focus=False):
                    yield Static(id="about", markup=False)
                    yield Changes()
            if self._problems:
                yield Static("\n".join(self._problems), id="broken", markup=False)
            yield Static(
                keys(("Enter", "apply"), ("1-9", "pick"), ("s", "save present settings"),
                     ("Esc", "leave")), classes="keys",
            )  # fmt: skip

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        options.focus()
        start = next((n for n, p in enumerate(self._presets) if p.key == self._picked), 0)
        if self._presets:
            options.highlighted = start
        else:
            text = "There are no presets yet: s saves the first one."
            self.query_one("#about", Static).update(text)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        preset = self._presets[event.option_index]
        own = "" if preset.shipped else f"\n{preset.path}"
        self.query_one("#about", Static).update((preset.about or preset.name) + own)
        try:
            new = apply(preset, self._settings)
        except ParamError as error:
            self.query_one("#about", Static).update(str(error))
            return
        self.query_one(Changes).show(self._settings, new)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._presets[event.option_index])

    def action_digit(self, digit: int) -> None:
        """Pick the preset of a digit; the same digit again applies it."""
        options = self.query_one(OptionList)
        row = next((n for n, preset in enumerate(self._presets) if preset.key == digit), None)
        if row is None:
            self.notify(f"No preset has the digit {digit}")
        elif digit == self._picked and options.highlighted == row:
            self.dismiss(self._presets[row])
        else:
            self._picked, options.highlighted = digit, row

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    def action_save(self) -> None:
        self.dismiss(None)
        self.app.call_later(self.app.run_action, "app.save_preset")
