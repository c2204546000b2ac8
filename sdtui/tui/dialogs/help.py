"""F1: what the focused thing is, and every key that works here."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Static

from .base import Dialog, keys


class Help(Dialog[None]):
    """Closed by any of Esc, F1, q."""

    DEFAULT_CSS = """
    Help > .box { width: 84; height: 90%; }
    Help VerticalScroll { height: 1fr; }
    """
    BINDINGS = [("f1,q,question_mark", "close", "Close")]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._about, self._rows = _about(screen), _keys(screen)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Help"
            with VerticalScroll():
                yield Static(self._about + "\n", markup=False)
                for title, rows in self._rows:
                    yield Static(f"[$accent b]{title}[/]")
                    yield Static("\n".join(f"  {key:<16}{what}" for key, what in rows) + "\n",
                                 markup=False)  # fmt: skip
            yield Static(keys(("Esc", "close"), ("ctrl+p", "every action by name")), classes="keys")


def _about(screen: Screen[object]) -> str:
    """The help of the focused widget, else of what it lies in."""
    for node in screen.focused.ancestors_with_self if screen.focused else [screen]:
        text = getattr(node, "HELP", None)
        if callable(text):
            text = text()
        if text:
            return str(text)
    return ""


def _keys(screen: Screen[object]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Keys of the focused thing, of the screen, of the program; each action once.

    What a library widget brings along (cursor keys, selecting, deleting) is as everywhere else and
    would bury the few keys that are ours.
    """
    groups: dict[str, dict[str, tuple[list[str], str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or not _ours(active.node, binding):
            continue
        where = "Everywhere"
        if active.node is screen.focused:
            where = "Here"
        elif active.node is not screen.app:
            where = "On this screen"
        rows = groups.setdefault(where, {})
        # Digits pick presets: one row for all nine.
        action = binding.action.partition("(")[0] if binding.key.isdigit() else binding.action
        names, _ = rows.setdefault(action, ([], binding.tooltip or binding.description))
        key = "1…9" if binding.key.isdigit() else screen.app.get_key_display(binding)
        if key not in names:
            names.append(key)
    return [
        (where, [(" ".join(names[:3]), what) for names, what in groups[where].values()])
        for where in ("Here", "On this screen", "Everywhere")
        if where in groups
    ]


def _ours(node: DOMNode, binding: Binding) -> bool:
    """Whether one of our classes declares this key."""
    ours = [kind for kind in type(node).__mro__ if kind.__module__.startswith("sdtui.")]
    keys: set[str] = set()
    for kind in ours:
        for given in kind.__dict__.get("BINDINGS", ()):
            key = given.key if isinstance(given, Binding) else given[0]
            keys.update(part.strip() for part in key.split(","))
    return binding.key in keys

