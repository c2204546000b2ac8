"""The latest pictures, small, newest on top; the one in view is marked."""

from __future__ import annotations

from textual import events
from textual.containers import Vertical
from textual.widget import Widget

from sdtui.tui.messages import PictureChosen
from sdtui.tui.pictures.picture import Picture

THUMB_ROWS = 6


class Filmstrip(Widget):
    """As many small pictures as the height holds. Takes no focus: the caption has the keys."""

    DEFAULT_CSS = """
    Filmstrip { width: 14; layout: vertical; overflow: hidden; padding: 0 0 0 1; }
    Filmstrip > .frame { height: 6; border-left: blank; padding-bottom: 1; }
    Filmstrip > .chosen { border-left: thick $accent; }
    """

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._paths: list[str] = []
        self._shown: list[str] = []
        self._chosen: str | None = None

    def on_resize(self) -> None:
        self._fill()

    def tell(self, paths: list[str], chosen: str | None) -> None:
        """Show these pictures, newest first, and mark one."""
        if paths != self._paths or chosen != self._chosen:
            self._paths, self._chosen = list(paths), chosen
            self._fill()

    def _fill(self) -> None:
        room = self.size.height // THUMB_ROWS
        frames = list(self.query(Frame))
        for _ in range(room - len(frames)):
            frame = Frame()
            frames.append(frame)
            self.mount(frame)
        for frame in frames[room:]:
            frame.remove()
        first = 0
        if self._chosen in self._paths:
            first = max(0, self._paths.index(self._chosen) - room + 1)
        window: list[str | None] = [*self._paths[first : first + room]]
        window += [None] * (room - len(window))
        for frame, path in zip(frames[:room], window, strict=True):
            frame.show(path)
            frame.set_class(path is not None and path == self._chosen, "chosen")


class Frame(Vertical):
    """One small picture; a click looks at it."""

    def __init__(self) -> None:
        self.picture = Picture()
        self.path: str | None = None
        super().__init__(self.picture, classes="frame")

    def show(self, path: str | None) -> None:
        if path != self.path:
            self.path = path
            self.picture.show(path)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        if self.path is not None:
            self.post_message(PictureChosen(self.path))
