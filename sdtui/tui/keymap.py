"""The keys that work everywhere (DESIGN 4). Each has an id, so that a keymap can move it."""

from __future__ import annotations

from textual.binding import Binding, BindingType

GLOBAL: list[BindingType] = [
    Binding("ctrl+j,ctrl+enter", "generate", "Make", tooltip="Make picture", key_display="^j",
            priority=True, id="generate"),
    Binding("f1", "help", "Help", priority=True, id="help"),
    Binding("question_mark", "help", "Help", show=False, id="help.letter"),
    Binding("f2", "go('generate')", "Generate", show=False, priority=True, id="screen.generate"),
    Binding("f7", "go('queue')", "Queue", show=False, priority=True, id="screen.queue"),
    Binding("f9", "presets", "Presets", priority=True, id="presets"),
    *[Binding(str(digit), f"presets({digit})", "Preset", show=False, id=f"preset.{digit}")
      for digit in range(1, 10)],
    Binding("ctrl+s", "save_preset", "Save preset", show=False, id="preset.save"),
    Binding("ctrl+g", "cancel", "Cancel job", show=False, priority=True, id="cancel"),
    Binding("ctrl+r", "restart", "Start backend", show=False, id="backend.start"),
    Binding("ctrl+l", "redraw", "Draw again", show=False, priority=True, id="redraw"),
    Binding("ctrl+t", "toggle_theme", "Light/dark", show=False, id="theme"),
    Binding("ctrl+p", "command_palette", "All", tooltip="Every action by name", priority=True,
            id="palette"),
    Binding("ctrl+q", "leave", "Quit", priority=True, id="quit"),
]  # fmt: skip
