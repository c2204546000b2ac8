"""The row below the picture: which one it is, and the keys that act on it.

The row takes the focus and not the pane: focusing a pane would paint the whole picture again.
"""

from __future__ import annotations

from textual.binding import Binding

from sdtui.tui.messages import PictureChosen
from sdtui.tui.state import AppState

from .line import Line


class Caption(Line, can_focus=True):
    """The picture in view. Newest first; None = whatever is made now."""

    HELP = (
        "The picture. While one is made it is shown as it sharpens; afterwards the newest stays. "
        "Up and down go through the latest pictures, Esc comes back to the newest."
    )
    DEFAULT_CSS = """
    Caption { height: 1; color: $text-muted; }
    Caption:focus { color: $accent; background: $panel; }
    """
    BINDINGS = [
        Binding("down,j,right,l", "older(1)", "Others", tooltip="Older picture", key_display="↑↓"),
        Binding("up,k,left,h", "older(-1)", "Newer picture", show=False),
        Binding("escape", "newest", "Newest", show=False),
        Binding("enter,z", "app.zoom", "Large", key_display="⏎"),
        Binding("i", "app.use_settings", "Its settings"),
        Binding("s", "app.use_seed", "Its seed"),
        Binding("y", "app.copy_path", "Copy path"),
        Binding("Y", "app.copy_scp", "Copy scp line", show=False),
    ]

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.chosen: str | None = None
        self._pictures: list[str] = []

    def tell(self, state: AppState, text: str) -> None:
        """`text` describes the picture in view."""
        self._pictures = state.pictures
        if self.chosen is not None and self.chosen not in self._pictures:
            self.choose(None)
        at = ""
        if self.chosen is not None:
            at = f"{self._pictures.index(self.chosen) + 1}/{len(self._pictures)} "
        self.put((" " + at, "key"), (text or "no picture yet", ""))

    def choose(self, path: str | None) -> None:
        """Look at this picture; None = at what is made now."""
        if path != self.chosen:
            self.chosen = path
            self.post_message(PictureChosen(path))

    def action_older(self, by: int) -> None:
        if not self._pictures:
            return
        at = self._pictures.index(self.chosen) if self.chosen else 0
        new = at + by
        self.choose(self._pictures[min(new, len(self._pictures) - 1)] if new >= 0 else None)

    def action_newest(self) -> None:
        self.choose(None)
