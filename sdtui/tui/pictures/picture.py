"""The widget that shows a picture file as large as its box allows."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.errors import NoWidget
from textual.strip import Strip
from textual.widget import Widget

from .files import PictureError
from .painter import Painter, Painting

if TYPE_CHECKING:
    from textual import events

CAPTION_FROM_ROWS = 4
"""In a lower box the caption would cost too much of the picture."""


class Picture(Widget):
    """Shows a file, its proportions kept, centred; under it a caption.

    The file is read and drawn in a thread, and only while the widget is in view. What is shown
    stays until its successor is ready; a file replaced many times a second is drawn as often as
    the machine can, never later than that.
    """

    ALLOW_SELECT: ClassVar[bool] = False
    DEFAULT_CSS = """
    Picture { width: 1fr; height: 1fr; color: $text-muted; }
    """

    def __init__(self, path: str | None = None, caption: str = "", *, empty: str = "",
                 **options: Any) -> None:  # fmt: skip
        """`empty` is said while there is no picture; other options are Widget's."""
        super().__init__(**options)
        self._path = path
        self._caption = caption
        self._empty = empty
        self._painting: Painting | None = None
        self._leaving: list[Painting] = []
        """What was shown before: held until its successor is on the screen, for without it the
        place would be empty for a moment."""
        self._problem = ""
        self._turn = 1
        """Counts what has been asked for; equal to `_done` when that is on the screen."""
        self._done = 0
        self._working = False

    @property
    def path(self) -> str | None:
        """The file to be shown."""
        return self._path

    @property
    def painting(self) -> Painting | None:
        """What is on the screen now."""
        return self._painting

    @property
    def ready(self) -> bool:
        """Whether what was asked for last is on the screen (or said why not)."""
        return self._turn == self._done

    def show(self, path: str | None, caption: str = "") -> None:
        """Show another file, or the same one again because it has been replaced; None: nothing."""
        if caption != self._caption:
            self._caption = caption
            self.refresh()
        self._path = path
        self._turn += 1
        if path is None:
            self._done = self._turn
            self._put(None, "")
        else:
            self._start()

    def say_when_empty(self, text: str) -> None:
        """What is said while there is no picture."""
        if text != self._empty:
            self._empty = text
            if self._path is None:
                self.refresh()

    def repaint(self) -> None:
        """Draw again: the terminal has changed."""
        if self._path is not None:
            self._turn += 1
            self._start()

    # -- drawing -------------------------------------------------------------------------------

    @property
    def _painter(self) -> Painter:
        return cast(Painter, self.app.painter)  # type: ignore[attr-defined]

    @property
    def _box(self) -> tuple[int, int]:
        width, height = self.size
        return width, height - self._caption_rows

    @property
    def _caption_rows(self) -> int:
        return int(bool(self._caption) and self.size.height >= CAPTION_FROM_ROWS)

    def _start(self) -> None:
        """Begin to draw if that is due. Out of view it waits: `render_line` asks again."""
        if self._working or self.ready or not self.is_attached or not all(self._box):
            return
        if not self._in_view():
            self.refresh()
            return
        self._working = True
        self.run_worker(self._work(), group="picture")

    def _in_view(self) -> bool:
        try:
            return bool(self.screen.find_widget(self).visible_region)
        except NoWidget:
            return False

    async def _work(self) -> None:
        painter = self._painter
        try:
            while not self.ready and self._path is not None and all(self._box):
                turn, path, shown = self._turn, self._path, self._painting
                try:
                    painting = await painter.paint(
                        path, self._box, shown, lambda path=path: self._path == path
                    )
                except PictureError as error:
                    if path == self._path:
                        self._put(None, f"{error}.")
                else:
                    if self._painting is not shown:
                        painter.give_back(painting, shown)
                        continue
                    if painting is None:
                        if path == self._path:
                            return  # the terminal is away; the painter will call `repaint`
                        continue
                    self._put(painting, "")
                self._done = turn
        finally:
            self._working = False

    def _put(self, painting: Painting | None, problem: str) -> None:
        before = self._painting
        if painting is before and problem == self._problem:
            return
        self._painting, self._problem = painting, problem
        self.refresh()
        if before is not None and before is not painting:
            self._leaving.append(before)
            if not self._in_view():
                self._let_go(self._leaving, painting)
                self._leaving = []

    def _let_go(self, leaving: list[Painting], successor: Painting | None) -> None:
        for painting in leaving:
            self._painter.give_back(painting, successor)

    def on_mount(self) -> None:
        self._painter.join(self)
        if self._path is None:
            self._done = self._turn

    def on_unmount(self) -> None:
        self._let_go(self._leaving, self._painting)
        self._painter.give_back(self._painting)
        self._painting = None

    def on_resize(self, event: events.Resize) -> None:
        self.repaint()

    # -- lines ---------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        if not self.ready and not self._working:
            self.call_later(self._start)
        if self._leaving:  # this very frame shows the successor
            self.call_after_refresh(self._let_go, self._leaving, self._painting)
            self._leaving = []
        width, height = self.size
        if self._caption_rows and y == height - 1:
            return self._words(self._caption, width)
        height -= self._caption_rows
        painting = self._painting
        if painting is not None and painting.strips:
            columns, rows = painting.cells
            row = y - (height - rows) // 2
            if not 0 <= row < rows:
                return Strip.blank(width, self.rich_style)
            strip = painting.strips[row]
            if painting.sent is not None:  # beside the pixels our background shall be seen
                strip = strip.apply_style(Style(bgcolor=self.rich_style.bgcolor))
            return self._centred(strip, columns, width)
        text = self._problem or (painting.words if painting else self._empty)
        lines = textwrap.wrap(text, max(1, width - 2))
        line = y - max(0, height - len(lines)) // 2
        return self._words(lines[line] if 0 <= line < len(lines) else "", width)

    def _centred(self, strip: Strip, columns: int, width: int) -> Strip:
        if columns > width:
            start = (columns - width) // 2
            return strip.crop(start, start + width)
        left = (width - columns) // 2
        style = self.rich_style
        return Strip.join(
            [Strip.blank(left, style), strip, Strip.blank(width - columns - left, style)]
        )

    def _words(self, text: str, width: int) -> Strip:
        text = "".join(char for char in text if char.isprintable())
        if not text:
            return Strip.blank(width, self.rich_style)
        if cell_len(text) > width:
            text = set_cell_size(text, width - 1) + "…"
        return self._centred(Strip([Segment(text, self.rich_style)]), cell_len(text), width)
