"""The form: one row for each parameter of the schema, one cursor over them.

up/down choose a row, left/right step its value, Enter types it. One widget draws all rows, so that
a cursor move costs two rows over the line and not a screen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input

from sdtui.params.base import ParamError, ParamSpec, build, specs
from sdtui.params.layers import DEFAULT, EDIT, Settings
from sdtui.tui.messages import FieldChosen, FormUnfolded, ValueEdited, ValueReset

from .line import LineWidget, Part
from .title import QuietFocus
from .values import origin, parsed, range_of, shown, stepped

Choices = Callable[[str], list[str]]
"""Gives the choices of a `choices_from`."""
MARKS = {EDIT: ("•", "key"), DEFAULT: (" ", "")}
PRESET_MARK = ("▪", "dim")
LABEL_WIDTH = 15


class Rows(QuietFocus, LineWidget, ScrollView, can_focus=True):
    """The rows themselves."""

    DEFAULT_CSS = """
    Rows { height: 1fr; scrollbar-size-vertical: 1; background: transparent; }
    """
    BINDINGS = [
        Binding("up,k", "move(-1)", "Field above", show=False),
        Binding("down,j", "move(1)", "Field below", show=False),
        Binding("home", "move(-99)", "First field", show=False),
        Binding("end", "move(99)", "Last field", show=False),
        Binding("right,l,plus", "step(1)", "Change", tooltip="More, or the next choice",
                key_display="←→"),
        Binding("left,h,minus", "step(-1)", "Less, or the choice before", show=False),
        Binding("shift+right,pageup,L", "step(1, True)", "Much more", show=False),
        Binding("shift+left,pagedown,H", "step(-1, True)", "Much less", show=False),
        Binding("enter", "type", "Type", key_display="⏎"),
        Binding("space", "step(1)", "Next choice", show=False),
        Binding("backspace,delete", "reset", "Put back"),
        Binding("u", "unfold", "All fields"),
    ]
    cursor: reactive[int] = reactive(0, repaint=False)

    def __init__(self, settings: Settings[Any], choices: Choices, unfolded: bool) -> None:
        super().__init__(id="rows")
        self.settings, self.choices, self.unfolded = settings, choices, unfolded
        self._problem = ("", "")
        """Name of a field and what is wrong there, until its value changes."""

    def HELP(self) -> str:
        """What F1 says: the field under the cursor, then how the form works."""
        spec = self.field
        about = f"{spec.label}: {spec.help} {range_of(spec)} {origin(spec, self.settings)}"
        return (
            f"{about}\n\nUp and down choose a field, left and right step its value, Enter types "
            "it. A dot marks what you set, a square what the preset set; Backspace puts it back."
        )

    # ------------------------------------------------------------ what is shown

    @property
    def fields(self) -> list[ParamSpec]:
        """The fields that have a row, in the order of the schema."""
        return [
            spec for spec in specs(self.settings.model).values()
            if spec.kind != "prompt" and (self.unfolded or not spec.folded)
        ]  # fmt: skip

    @property
    def field(self) -> ParamSpec:
        """The one under the cursor."""
        fields = self.fields
        return fields[min(self.cursor, len(fields) - 1)]

    def choices_of(self, spec: ParamSpec) -> list[str]:
        return self.choices(spec.choices_from) if spec.choices_from else list(spec.choices)

    def show(self, settings: Settings[Any]) -> None:
        """Show these settings; only rows that differ are painted."""
        old, self.settings = self.settings, settings
        for row, spec in enumerate(self.fields):
            name = spec.name
            if (old.value(name), old.source(name)) != (settings.value(name), settings.source(name)):
                self._repaint(row)
                if name == self._problem[0] and old.value(name) != settings.value(name):
                    self._problem = ("", "")

    def on_mount(self) -> None:
        self._fit()

    def _fit(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.fields))

    def on_resize(self) -> None:
        self._fit()
        self._to_cursor()

    def _repaint(self, row: int) -> None:
        y = row - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        row, fields, width = y + self.scroll_offset.y, self.fields, self.size.width
        if row >= len(fields):
            return Strip.blank(width, self.rich_style)
        spec = fields[row]
        source = self.settings.source(spec.name)
        mark = MARKS.get(source, (" ", "") if source.startswith("model") else PRESET_MARK)
        value = shown(spec, self.settings.value(spec.name))
        label = min(LABEL_WIDTH, width // 2)
        if row == self.cursor and self.has_focus:
            text = f" {spec.label:<{label}}{value}"
            return self.strip_of([(text.ljust(width - 2)[: width - 2], "cursor"), mark], width)
        here = "strong" if row == self.cursor else ""
        parts: list[Part] = [(f" {spec.label:<{label}}", "dim"), (value, here)]
        gap = max(1, width - 2 - sum(len(text) for text, _ in parts))
        return self.strip_of([*parts, (" " * gap, ""), mark], width)

    # ------------------------------------------------------------ the cursor

    def watch_cursor(self, old: int, new: int) -> None:
        self._repaint(old)
        self._repaint(new)
        self._to_cursor()
        self._tell_field()

    def validate_cursor(self, value: int) -> int:
        return max(0, min(value, len(self.fields) - 1))

    def complain(self, name: str, problem: str) -> None:
        """Something is wrong with the value of a field."""
        self._problem = (name, problem)
        # By the rows themselves: a message that the form makes does not rise above the form.
        self.call_later(self._tell_field)

    def _tell_field(self) -> None:
        name, problem = self.field.name, ""
        if name == self._problem[0]:
            problem = self._problem[1]
        if self.is_mounted:
            self.post_message(FieldChosen(name, problem))

    def focus_changed(self) -> None:
        self._repaint(self.cursor)
        if self.has_focus:
            self._tell_field()

    def _to_cursor(self) -> None:
        self.scroll_to_region(
            Region(0, self.cursor, max(1, self.size.width), 1), animate=False, force=True
        )

    def action_move(self, by: int) -> None:
        self.cursor += by

    def on_click(self, event: Any) -> None:
        self.cursor = event.y + self.scroll_offset.y

    # ------------------------------------------------------------ the value

    def action_step(self, by: int, big: bool = False) -> None:
        spec = self.field
        value = self.settings.value(spec.name)
        new = stepped(spec, value, by, big=big, choices=self.choices_of(spec))
        if new != value:
            # Shown at once, so that the next press of a fast finger starts from here.
            self.show(self.settings.edit(**{spec.name: new}))
            self.post_message(ValueEdited(spec.name, new))

    def action_reset(self) -> None:
        self.post_message(ValueReset(self.field.name))

    def action_unfold(self) -> None:
        name = self.field.name
        self.unfolded = not self.unfolded
        names = [spec.name for spec in self.fields]
        self._fit()
        self.cursor = names.index(name) if name in names else 0
        self.refresh()
        self.post_message(FormUnfolded(self.unfolded))

    def action_type(self) -> None:
        spec = self.field
        if spec.kind == "bool":
            return self.action_step(1)
        if choices := self.choices_of(spec):
            from sdtui.tui.dialogs.choose import Choose

            def chosen(value: str | None) -> None:
                if value is not None:
                    self.post_message(ValueEdited(spec.name, value))

            dialog = Choose(spec.label, choices, str(self.settings.value(spec.name)), spec.help)
            self.app.push_screen(dialog, chosen)
            return None
        return self.query_ancestor(ParamForm).type_value()


class ParamForm(Vertical):
    """The rows and, while a value is typed, the line it is typed in."""

    DEFAULT_CSS = """
    ParamForm { layers: rows typing; height: 1fr; }
    ParamForm #typing {
        layer: typing; display: none; border: none; height: 1; padding: 0 1;
        background: $panel; color: $foreground; width: 100%;
    }
    ParamForm #typing.on { display: block; }
    """

    def __init__(
        self, settings: Settings[Any], choices: Choices, *, unfolded: bool = False, id: str
    ) -> None:
        super().__init__(id=id)
        self.rows = Rows(settings, choices, unfolded)
        self.typing = Typing(id="typing")

    def compose(self) -> ComposeResult:
        yield self.rows
        yield self.typing

    def show(self, settings: Settings[Any]) -> None:
        """Show these settings."""
        self.rows.show(settings)

    def go_to(self, name: str, problem: str) -> None:
        """Put the cursor on a field and say what is wrong there, unfolding the form if need be."""
        if name not in (spec.name for spec in self.rows.fields):
            self.rows.action_unfold()
        names = [spec.name for spec in self.rows.fields]
        if name in names:
            self.rows.cursor = names.index(name)
            self.rows.focus()
            self.rows.complain(name, problem)

    def type_value(self) -> None:
        """Let the value under the cursor be typed."""
        spec = self.rows.field
        value = self.rows.settings.value(spec.name)
        label = min(LABEL_WIDTH, self.size.width // 2)  # its padding is the space before the value
        self.typing.styles.offset = (label, self.rows.cursor - self.rows.scroll_offset.y)
        self.typing.styles.width = self.size.width - label
        self.typing.value = f"{value:g}" if spec.kind == "float" else str(value)
        self.typing.add_class("on")
        self.typing.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        spec = self.rows.field
        try:
            value = parsed(spec, event.value)
            build(self.rows.settings.model, {spec.name: value})
        except ParamError as error:
            self.rows.complain(spec.name, str(error))
            return
        self.close_typing()
        self.post_message(ValueEdited(spec.name, value))

    def close_typing(self, *, focus: bool = True) -> None:
        """Leave the value as it was."""
        self.rows.complain("", "")
        self.typing.remove_class("on")
        if focus:
            self.rows.focus()


class Typing(Input):
    """The line a value is typed in; Esc or going elsewhere leaves it as it was."""

    BINDINGS = [
        Binding("escape", "leave", "Leave it"),
        Binding("up", "go(-1)", "Field", show=False),
        Binding("down", "go(1)", "Field", show=False),
    ]

    def __init__(self, id: str) -> None:
        super().__init__(id=id, select_on_focus=True, compact=True)

    def action_leave(self) -> None:
        self.query_ancestor(ParamForm).close_typing()

    def action_go(self, by: int) -> None:
        form = self.query_ancestor(ParamForm)
        form.close_typing()
        form.rows.cursor += by

    def on_blur(self) -> None:
        self.query_ancestor(ParamForm).close_typing(focus=False)
