"""The full-screen program. Wiring only: screens draw, the link follows, settings are immutable."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textual.app import SystemCommand
from textual.filter import LineFilter
from textual.screen import Screen

from sdtui.backend import protocol as p
from sdtui.backend.client import BackendError, BackendGone
from sdtui.library import catalog, presets, session
from sdtui.library.places import PlaceError, Places
from sdtui.params.base import ParamError
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Settings

from . import actions, keymap
from .harmless import Harmless
from .keys_in_order import KeysInOrder
from .link import Link
from .messages import StateChanged
from .pictures.abilities import Abilities
from .pictures.painter import Painter
from .screens.generate import GenerateScreen
from .screens.queue import QueueScreen
from .screens.workspace import Workspace
from .state import PICTURES_KEPT, AppState, Known
from .themes import DARK, LIGHT, THEMES

SAVE_AFTER_S = 1.0
REPLY_S = 10.0
CHOICES_S = 5.0


class SdtuiApp(actions.Actions, KeysInOrder):
    """One terminal's view of the backend of one home."""

    CSS_PATH = "app.tcss"
    BINDINGS = keymap.GLOBAL
    SCREENS = {"generate": GenerateScreen, "queue": QueueScreen}
    ENABLE_COMMAND_PALETTE = True
    HELP = (
        "sdtui draws pictures from words. Write a prompt, ctrl+j makes the picture, a digit picks "
        "a preset. Work goes on when this terminal closes; start sdtui again to see it."
    )

    def __init__(self, places: Places, abilities: Abilities, pictures: str = "auto") -> None:
        """`pictures`: how they are drawn, as of `--pictures`."""
        super().__init__()
        self.places, self.abilities = places, abilities
        self.painter = Painter(self, abilities, pictures)
        self.state = AppState()
        loaded, self._remark = session.load(places)
        self.session = loaded or session.Session(settings=first_settings(places))
        self._choices: dict[str, tuple[float, list[str]]] = {}
        self.link = Link(
            places, self.state, attached=self.read_gallery, changed=self._changed,
            notice=self._notice, ended=self._job_ended, lost=self._lost,
        )  # fmt: skip
        self._following: asyncio.Task[None] | None = None
        self._save_timer: Any = None
        self._harmless = Harmless()

    # ------------------------------------------------------------ life

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        known = {theme.name for theme in THEMES}
        bright = LIGHT.name if self.abilities.dark is False else DARK.name
        self.theme = self.session.theme if self.session.theme in known else bright
        self.push_screen("generate")
        self._heed_signals()
        if self._remark:
            self.notify(self._remark, severity="warning", timeout=10)
        self.follow()

    def _heed_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, self._hung_up)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)

    def follow(self) -> None:
        """Attach to the backend, starting one if none runs."""
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self.link.follow(), name="backend link")
        self.read_gallery()

    def read_gallery(self) -> None:
        """Read the latest pictures: at the start, and once attached, for those made in between."""
        self.run_worker(self._read_gallery, thread=True, group="gallery")

    def _read_gallery(self) -> None:
        from sdtui.library.gallery import Gallery

        pictures = Gallery(self.places).latest(PICTURES_KEPT)
        self.call_from_thread(self._add_pictures, pictures)

    def _add_pictures(self, pictures: Sequence[Known]) -> None:
        self.state.take_gallery(pictures)
        self._changed()

    async def on_unmount(self) -> None:
        self.save_session()
        if self._following is not None:
            self._following.cancel()
        self.painter.close()

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._harmless]

    @property
    def failure(self) -> Exception | None:
        """The error that ended the program, None if it was ended by a person."""
        return self._exception

    def _fatal_error(self) -> None:
        # Textual would print a traceback with all locals over the terminal; the command line says
        # a sentence and writes the traceback to the log.
        self._close_messages_no_wait()

    def _hung_up(self, *_: object) -> None:
        """The line has dropped: end at once. Not by the loop, which may wait for the terminal."""
        self.save_session()
        os._exit(128 + signal.SIGHUP)

    # ------------------------------------------------------------ what the link tells

    def _changed(self) -> None:
        # Only the screen on top: one below would paint everything again at each message it gets.
        # It tells itself when the dialog over it closes.
        if self.is_running and self.screen_stack and isinstance(self.screen, Workspace):
            self.screen.post_message(StateChanged())

    def _notice(self, notice: p.Notice) -> None:
        severity = {"info": "information", "warning": "warning", "error": "error"}[notice.level]
        self.notify(notice.text, severity=severity, markup=False)  # type: ignore[arg-type]

    def _job_ended(self, job: p.JobView) -> None:
        if job.state == "failed" and job.error is not None:
            self.notify(str(job.error), title=f"Job {job.job} failed", severity="error",
                        timeout=15, markup=False)  # fmt: skip

    def _lost(self, error: BackendError | PlaceError) -> None:
        log = error.log_tail if isinstance(error, BackendGone) else []
        self.show_lost(str(error), log)

    def send(self, command: p.Command, then: Callable[[], None] = lambda: None) -> None:
        """Send a command without waiting for it; `then` is called once it is accepted."""

        async def sent() -> None:
            try:
                async with asyncio.timeout(REPLY_S):
                    await self.link.ask(command)
            except BackendError as error:
                self.notify(str(error), severity="error", markup=False)
            except TimeoutError:
                self.notify("The backend does not answer; its log: ctrl+p, log", severity="error")
            else:
                then()

        self.run_worker(sent(), group="commands")

    # ------------------------------------------------------------ the settings

    @property
    def settings(self) -> Settings[GenerateParams]:
        return self.session.settings

    def change(self, settings: Settings[GenerateParams]) -> None:
        """These are the settings now; they are remembered."""
        self.session.settings = settings
        if self._save_timer is not None:
            self._save_timer.stop()
        self._save_timer = self.set_timer(SAVE_AFTER_S, self.save_session)

    def change_and_show(self, settings: Settings[GenerateParams]) -> None:
        self.change(settings)
        self.generate_screen.show_settings(settings)

    def edit(self, name: str, value: Any) -> None:
        """A person has set one value."""
        settings = self.settings.edit(**{name: value})
        if name == "checkpoint":
            settings = with_checkpoint(self.places, settings, str(value))
        self.change_and_show(settings)

    def suited(self, settings: Settings[GenerateParams]) -> Settings[GenerateParams]:
        """The settings with what suits their checkpoint below them."""
        return with_model(self.places, settings, str(settings.value("checkpoint")))

    def save_session(self) -> None:
        try:
            session.save(self.places, self.session)
        except OSError as error:
            self.log(f"the session could not be saved: {error}")

    def choices(self, of: str) -> list[str]:
        """The choices of a field that are known only here. Files are looked at again after 5 s."""
        read_s, found = self._choices.get(of, (-CHOICES_S, []))
        if time.monotonic() - read_s > CHOICES_S:
            found = catalog.choices(self.places, of)
            self._choices[of] = (time.monotonic(), found)
        return found

    def checked(self) -> GenerateParams | None:
        """The settings as parameters; None (and the field is shown) if one is wrong."""
        try:
            return self.settings.params()
        except ParamError as error:
            problem = error.problems[0]
            self.show_screen("generate")
            self.generate_screen.show_problem(problem.key, problem.message)
            return None

    # ------------------------------------------------------------ screens

    @property
    def generate_screen(self) -> GenerateScreen:
        screen = self.get_screen("generate")
        assert isinstance(screen, GenerateScreen)
        return screen

    def show_screen(self, name: str) -> None:
        """Show one of the screens on the function keys; dialogs over it are closed."""
        while len(self.screen_stack) > 2:
            self.pop_screen()
        if self.screen is not self.get_screen(name):
            self.switch_screen(name)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        for title, text, call in actions.commands(self):
            yield SystemCommand(title, text, call)


def first_settings(places: Places) -> Settings[GenerateParams]:
    """What a person finds who starts for the first time: the demo model and what suits it."""
    settings: Settings[GenerateParams] = Settings(GenerateParams)
    return with_checkpoint(places, settings, str(settings.value("checkpoint")))


def with_model(
    places: Places, settings: Settings[GenerateParams], name: str
) -> Settings[GenerateParams]:
    """The settings with what suits this checkpoint, if it is there."""
    try:
        chosen = catalog.find(places, name)
    except catalog.CatalogError:
        return settings
    return settings.with_layer(catalog.model_layer(chosen), over="model")


def with_checkpoint(
    places: Places, settings: Settings[GenerateParams], name: str
) -> Settings[GenerateParams]:
    """The same with the preset that is bound to this checkpoint."""
    settings = with_model(places, settings, name)
    bound = presets.bound_to(presets.load_all(places)[0], name)
    return presets.apply(bound, settings).edit(checkpoint=name) if bound else settings
