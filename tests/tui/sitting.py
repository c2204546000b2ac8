"""A person at a terminal: the full-screen program under a pilot, before a real backend process.

    async with sitting(house) as me:
        await me.write("a cat")
        await me.press("ctrl+j")
        await me.until(lambda: me.state.pictures)
        assert "a cat" in me.screen_text()
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.widget import Widget

from sdtui.backend import protocol as p
from sdtui.tui.app import SdtuiApp
from sdtui.tui.pictures.abilities import Abilities
from sdtui.tui.pictures.picture import Picture
from sdtui.tui.screens.queue import JobList
from sdtui.tui.state import AppState
from sdtui.tui.widgets.form import Rows
from sdtui.tui.widgets.prompt import PromptEditor
from tests.backend.conftest import PATIENCE_S, House

WIDE = (120, 36)


class Sitting:
    """One running program, what it shows, and its keys."""

    def __init__(self, app: SdtuiApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot
        self.written: list[str] = []
        """What was written to the terminal besides frames."""

    @property
    def state(self) -> AppState:
        return self.app.state

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds; on failure the screen is shown."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"it did not happen in time:\n{self.screen_text()}"
            await asyncio.sleep(0.01)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def paste(self, text: str) -> None:
        """As the terminal does when a person pastes."""
        self.app.post_message(events.Paste(text))
        await self.pilot.pause()

    async def write(self, prompt: str) -> None:
        """This is the prompt now."""
        editor = self.app.generate_screen.query_one("#prompt", PromptEditor)
        editor.focus()
        editor.select_all()
        await self.press("delete")
        await self.paste(prompt)

    async def go_to(self, field: str) -> Rows:
        """Put the form's cursor on a field."""
        rows = self.app.generate_screen.query_one(Rows)
        rows.focus()
        names = [spec.name for spec in rows.fields]
        rows.cursor = names.index(field)
        await self.pilot.pause()
        return rows

    async def make(self, script: str) -> p.JobView:
        """Queue this prompt by keys; the job as the backend has taken it."""
        before = set(self.state.jobs)
        await self.write(script)
        await self.press("ctrl+j")
        await self.until(lambda: set(self.state.jobs) - before)
        (number,) = set(self.state.jobs) - before
        return self.state.jobs[number]

    async def ended(self, job: p.JobView) -> p.JobView:
        await self.until(lambda: self.state.jobs[job.job].state in p.ENDED)
        return self.state.jobs[job.job]

    async def running(self, job: p.JobView) -> None:
        await self.until(lambda: self.state.jobs[job.job].state == "running")

    async def drawn(self) -> Picture:
        """The large picture, as soon as what was asked for is on the screen."""
        picture = self.app.generate_screen.query_one("#picture", Picture)
        await self.until(lambda: picture.ready)
        return picture

    @property
    def dialog(self) -> str:
        """The class of the dialog that is open, "" if none is."""
        name = type(self.app.screen).__name__
        return "" if name in ("GenerateScreen", "QueueScreen") else name

    def value(self, name: str) -> Any:
        return self.app.settings.value(name)

    def source(self, name: str) -> str:
        return self.app.settings.source(name)

    def screen_text(self) -> str:
        """All that is on the screen."""
        return screen_text(self.app)

    def said(self) -> str:
        """Every remark that pops up now."""
        return "\n".join(f"{note.title} {note.message}" for note in self.app._notifications)

    def focused(self) -> str:
        widget = self.app.focused
        return (widget.id or type(widget).__name__) if isinstance(widget, Widget) else ""

    def queue_lines(self) -> list[str]:
        """The rows of the queue screen."""
        jobs = self.app.screen.query_one(JobList)
        return [str(option.prompt) for option in jobs.options]


def screen_text(app: App[Any]) -> str:
    """The screen as text, line ends trimmed. The one place that knows Textual's compositor."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


@asynccontextmanager
async def sitting(
    house: House, *, size: tuple[int, int] = WIDE, abilities: Abilities | None = None,
    pictures: str = "blocks", attached: bool = True,
) -> AsyncIterator[Sitting]:  # fmt: skip
    """Start the program for this home; a backend is started if none runs."""
    terminal = abilities or Abilities(truecolor=True)
    app = SdtuiApp(house.places.prepare(), terminal, pictures)
    async with app.run_test(size=size) as pilot:
        me = Sitting(app, pilot)
        assert app._driver is not None
        app._driver.write = me.written.append  # type: ignore[method-assign]
        if attached:
            await me.until(lambda: app.state.link == "attached")
        yield me
        # A backend that is still starting could not be found and ended after the test.
        await me.until(lambda: app._exit or app.state.link != "starting")
