"""A small program around Picture, run in a (fake) terminal by test_pictures_screen.py.

    picture_app.py CHOICE FILE...

Its first line is a text field: a word and Enter is a command (a method `do_WORD`); whatever else
is typed, by a person or by a terminal, is seen there.
"""

from __future__ import annotations

import sys

from sdtui.tui.pictures.abilities import find_abilities

ABILITIES = find_abilities()
ABILITIES.apply_environment()

from textual.app import App, ComposeResult  # noqa: E402
from textual.containers import VerticalScroll  # noqa: E402
from textual.screen import ModalScreen  # noqa: E402
from textual.widgets import Input, Static  # noqa: E402

from sdtui.tui.pictures.painter import Painter  # noqa: E402
from sdtui.tui.pictures.picture import Picture  # noqa: E402


class Window(ModalScreen[None]):
    """A small window in the middle; any key closes it."""

    CSS = """
    Window { background: transparent; align: center middle; }
    Window Static { width: 20; height: 3; background: blue; }
    """

    def compose(self) -> ComposeResult:
        yield Static("a window")

    def on_key(self) -> None:
        self.dismiss()


class PictureApp(App[None]):
    CSS = """
    Input { height: 1; border: none; padding: 0; }
    #column { scrollbar-size: 0 0; }
    #column Picture { height: 12; }
    """

    def __init__(self, choice: str, paths: list[str]) -> None:
        super().__init__()
        self.painter = Painter(self, ABILITIES, choice)
        self.paths, self.place = paths, 0

    def compose(self) -> ComposeResult:
        field = Input(select_on_focus=False)
        field.cursor_blink = False
        yield field
        yield Picture(self.paths[0], empty="no picture yet", id="one")

    def on_unmount(self) -> None:
        self.painter.close()

    @property
    def one(self) -> Picture:
        return self.query_one("#one", Picture)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.input.value = ""
        getattr(self, f"do_{event.value}")()

    def do_next(self) -> None:
        self.place += 1
        self.one.show(self.paths[self.place % len(self.paths)])

    def do_again(self) -> None:
        self.one.show(self.one.path)

    def do_none(self) -> None:
        self.one.show(None)

    def do_caption(self) -> None:
        self.one.show(self.one.path, "under the picture")

    def do_remove(self) -> None:
        self.one.remove()

    def do_column(self) -> None:
        self.one.remove()
        self.mount(VerticalScroll(*(Picture(path) for path in self.paths), id="column"))

    def do_down(self) -> None:
        self.query_one("#column").scroll_relative(y=6, animate=False)

    def do_side(self) -> None:
        self.one.styles.offset = (-10, 0)

    def do_window(self) -> None:
        self.push_screen(Window())

    def do_renew(self) -> None:
        self.painter.renew()

    def do_away(self) -> None:
        with self.suspend():
            print("away", flush=True)

    def do_held(self) -> None:
        self.one.show(None)
        self.one._empty = f"held={self.painter.held}"

    def do_quit(self) -> None:
        self.exit()


if __name__ == "__main__":
    PictureApp(sys.argv[1], sys.argv[2:]).run()
