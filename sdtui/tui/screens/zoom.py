"""One picture on the whole screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen

from sdtui.tui.pictures.picture import Picture
from sdtui.tui.widgets.line import Line


class Zoom(ModalScreen[str | None]):
    """Gives the picture that was looked at last."""

    DEFAULT_CSS = """
    Zoom { background: $background; }
    Zoom Picture { height: 1fr; width: 1fr; }
    Zoom Line { color: $text-muted; padding: 0 1; }
    """
    BINDINGS = [
        Binding("escape,enter,z,q", "back", "Back"),
        Binding("down,j,right,l", "go(1)", "Older"),
        Binding("up,k,left,h", "go(-1)", "Newer"),
        Binding("y", "app.copy_path", "Copy path"),
    ]

    def __init__(self, pictures: list[str], path: str) -> None:
        super().__init__()
        self._pictures, self.path = pictures, path

    def compose(self) -> ComposeResult:
        yield Picture(id="picture")
        yield Line(id="line")

    def on_mount(self) -> None:
        self._show()

    def _show(self) -> None:
        at = self._pictures.index(self.path) + 1 if self.path in self._pictures else 1
        self.query_one(Picture).show(self.path)
        self.query_one(Line).put(
            ("Esc back   ↑↓ newer, older   y copy path   ", "dim"),
            (f"{at}/{len(self._pictures)} ", "key"), (self.path, ""),
        )  # fmt: skip

    def action_go(self, by: int) -> None:
        if self.path in self._pictures:
            at = self._pictures.index(self.path) + by
            self.path = self._pictures[max(0, min(at, len(self._pictures) - 1))]
            self._show()

    def action_back(self) -> None:
        self.dismiss(self.path)
