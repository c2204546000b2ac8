"""What every full screen shares: top bar, machine row, footer, and a focus that paints little."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widgets import Static

from sdtui.tui.messages import StateChanged
from sdtui.tui.widgets.keyrow import KeyRow
from sdtui.tui.widgets.status import MonitorRow, TopBar

if TYPE_CHECKING:
    from sdtui.tui.app import SdtuiApp

SCREENS = [("F2", "Generate"), ("F7", "Queue")]
LEAST = 60, 16
"""Columns and rows below which the screens would be of no use."""


class Workspace(Screen[None]):
    """Base of the screens on the function keys."""

    TITLE_HERE = ""
    # Textual repaints the whole screen when the focus moves; the focused widgets do it themselves.
    focused = Reactive(None, repaint=False)
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (LEAST[0], "-narrow"), (100, "-normal"), (140, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (LEAST[1], "-low"), (30, "-high")]
    # The sentence lies over the body and does not take its place: what is hidden loses the focus.
    DEFAULT_CSS = """
    Workspace { layers: base over; }
    Workspace > TopBar { background: $surface; }
    Workspace > #too-small {
        layer: over; display: none; width: 100%; height: 100%; padding: 1 2;
        color: $warning; background: $background;
    }
    Workspace.-tiny > #too-small, Workspace.-flat > #too-small { display: block; }
    """

    @property
    def sdtui(self) -> SdtuiApp:
        return cast("SdtuiApp", self.app)

    def compose(self) -> ComposeResult:
        yield TopBar(id="top")
        yield from self.compose_body()
        yield Static(id="too-small", markup=False)
        yield MonitorRow(id="monitor")
        yield KeyRow(id="keys")

    def compose_body(self) -> ComposeResult:
        """What lies between the top bar and the machine's row."""
        yield from ()

    def tell(self) -> None:
        """Show the state as it is now."""
        state = self.sdtui.state
        self.query_one(TopBar).tell(state, self.TITLE_HERE, SCREENS)
        self.query_one(MonitorRow).tell(state)

    def on_screen_resume(self) -> None:
        self.tell()

    def on_resize(self) -> None:
        columns, rows = self.size
        self.query_one("#too-small", Static).update(
            f"This terminal is {columns}x{rows}; sdtui needs {LEAST[0]}x{LEAST[1]}. "
            "Make it larger or its letters smaller. Work goes on meanwhile; ctrl+q quits."
        )
        self.tell()

    def on_state_changed(self, event: StateChanged) -> None:
        event.stop()
        if self.is_mounted:
            self.tell()
