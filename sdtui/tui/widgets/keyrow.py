"""The last row: the keys that work here, the ones that work everywhere first.

In place of Textual's Footer, which is built and painted anew three times for each Tab.
"""

from __future__ import annotations

from textual import events

from .line import Line, Part

EVERYWHERE = ("ctrl+j", "f9", "f1", "ctrl+p", "ctrl+q")
"""The order of the keys that work everywhere."""


class KeyRow(Line):
    """Keys with `show=True`; a click on one presses it."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.tell())
        self.tell()

    def tell(self) -> None:
        """Show the keys of what has the focus now."""
        parts: list[Part] = []
        self._ends: list[tuple[int, str]] = []
        width = 0
        for key, text, name in self._keys():
            parts += [(f" {key}", "key"), (f" {text} ", "dim")]
            width += len(key) + len(text) + 3
            self._ends.append((width, name))
        self.put(*parts)

    def _keys(self) -> list[tuple[str, str, str]]:
        """(key as shown, what it does, key): each action once."""
        shown: dict[str, tuple[bool, tuple[str, str, str]]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and binding.description and active.enabled:
                key = self.app.get_key_display(binding)
                entry = (active.node is not self.app, (key, binding.description, binding.key))
                shown.setdefault(binding.action, entry)
        order = {name: place for place, name in enumerate(EVERYWHERE)}
        return [entry for _, entry in sorted(
            shown.values(), key=lambda one: (one[0], order.get(one[1][2], len(order)))
        )]  # fmt: skip

    def on_click(self, event: events.Click) -> None:
        for end, name in self._ends:
            if event.x < end:
                self.app.simulate_key(name)
                return
