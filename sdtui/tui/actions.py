"""What the keys that work everywhere do, and the same by name in the palette."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from sdtui.backend import protocol as p
from sdtui.library import presets
from sdtui.params.layers import EDIT

from . import clipboard
from .themes import DARK, LIGHT

if TYPE_CHECKING:
    from .app import SdtuiApp

NOT_IN_A_PRESET = ("prompt", "seed", "checkpoint")
"""What belongs to a picture more than to a way of making pictures."""


class Actions:
    """Mixed into the app: every `action_…` of the global keys."""

    @property
    def _app(self) -> SdtuiApp:
        return cast("SdtuiApp", self)

    # ------------------------------------------------------------ pictures

    def action_generate(self) -> None:
        """Queue a job with the present settings."""
        app = self._app
        if len(app.screen_stack) > 2:
            return
        params = app.checked()
        if params is None:
            return
        app.save_session()
        app.generate_screen.caption.choose(None)
        app.send(p.Enqueue(params=params.model_dump()))

    def action_cancel(self) -> None:
        """Cancel the running job; what it has finished stays."""
        running = self._app.state.running
        if running is None:
            self._app.notify("Nothing is being made")
        else:
            text = f"Job {running.job} is cancelled; finished pictures stay"
            self._app.send(p.Cancel(job=running.job), lambda: self._app.notify(text))

    def action_cancel_all(self) -> None:
        self._app.send(p.CancelAll())

    def action_free_model(self) -> None:
        if self._app.state.model is None:
            self._app.notify("No model is in memory")
        else:
            text = "The model's memory is given back after the running job"
            self._app.send(p.FreeModel(), lambda: self._app.notify(text))

    def action_pause(self) -> None:
        self._app.send(p.Resume() if self._app.state.paused else p.Pause())

    def look_at(self, image: p.SavedImage) -> None:
        """Show a picture on the Generate screen."""
        self._app.state.add_older([image])
        self._app.show_screen("generate")
        self._app.generate_screen.caption.choose(image.path)
        self._app.generate_screen.caption.focus()

    def action_zoom(self) -> None:
        from .screens.zoom import Zoom

        app = self._app
        path = app.generate_screen.picture_in_view
        if path is not None:
            app.push_screen(Zoom(app.state.pictures, path), app.generate_screen.caption.choose)

    def action_copy_path(self) -> None:
        self._copy(lambda path: path, "its path")

    def action_copy_scp(self) -> None:
        self._copy(clipboard.scp_line, "the scp line")

    def _copy(self, text_of: Callable[[str], str], what: str) -> None:
        app = self._app
        path = getattr(app.screen, "path", None) or app.generate_screen.picture_in_view
        if path is None:
            app.notify("There is no picture yet")
            return
        text = text_of(path)
        if app._driver is not None:
            app._driver.write(clipboard.osc52(text, tmux=app.abilities.tmux))
        if app.abilities.tmux:
            app.run_worker(lambda: clipboard.to_tmux(text), thread=True, group="clipboard")
        app.notify(f"{text}", title=f"Copied {what}", markup=False)

    # ------------------------------------------------------------ settings

    def action_use_settings(self) -> None:
        """Show the settings stored in the picture in view, and apply them if wanted."""
        app = self._app
        path = app.generate_screen.picture_in_view
        if path is None:
            return
        from . import importing

        text = importing.infotext_of(app, path)
        if text:
            importing.offer(app, text, pasted_into=None)
        else:
            app.notify("This picture carries no settings", severity="warning")

    def action_use_seed(self) -> None:
        """Take the seed of the picture in view."""
        from sdtui.formats import infotext

        from . import importing

        app = self._app
        path = app.generate_screen.picture_in_view
        text = importing.infotext_of(app, path) if path else ""
        seed = str(infotext.parse(text).params.get("Seed", "")) if text else ""
        if seed.isdigit():
            app.edit("seed", int(seed))
            app.notify(f"Seed {seed} is set")
        else:
            app.notify("This picture carries no seed", severity="warning")

    def action_presets(self, digit: int | None = None) -> None:
        """Show the presets and what the chosen one would change."""
        from .dialogs.presets import Presets

        app = self._app
        known, problems = presets.load_all(app.places)
        app.push_screen(Presets(known, problems, app.settings, digit), app.apply_preset)

    def apply_preset(self, preset: presets.Preset | None) -> None:
        """Put a preset in force."""
        app = self._app
        if preset is None:
            return
        before = app.settings
        app.session.preset = preset.name
        settings = presets.apply(preset, before)
        if settings.value("checkpoint") != before.value("checkpoint"):
            settings = app.suited(settings)
        app.change_and_show(settings)
        app.notify(f"Preset {preset.name} is set", markup=False)

    def action_save_preset(self) -> None:
        from .dialogs.save_preset import SavePreset

        app = self._app
        settings = app.settings
        values = {
            name: value for name, value in settings.values().items()
            if name not in NOT_IN_A_PRESET and settings.source(name).startswith((EDIT, "preset "))
        }  # fmt: skip

        def saved(name: str | None) -> None:
            if name:
                app.notify(f"Preset {name} is saved", markup=False)

        app.push_screen(SavePreset(app.places, values), saved)

    # ------------------------------------------------------------ the program

    def action_go(self, screen: str) -> None:
        self._app.show_screen(screen)

    def action_help(self) -> None:
        from .dialogs.help import Help

        if isinstance(self._app.screen, Help):
            self._app.screen.dismiss(None)
        else:
            self._app.push_screen(Help(self._app.screen))

    def action_toggle_theme(self) -> None:
        app = self._app
        app.theme = LIGHT.name if app.theme == DARK.name else DARK.name
        app.session.theme = app.theme
        app.save_session()

    def action_redraw(self) -> None:
        self._app.painter.renew()
        self._app.refresh(repaint=True, layout=True)

    def action_show_log(self) -> None:
        """The last lines of the backend's log."""
        from sdtui.backend.client import log_tail

        from .dialogs.ask import Ask

        app = self._app
        lines = log_tail(app.places, 200) or ["The log is empty."]
        where = str(app.places.log_file)
        app.push_screen(Ask("The backend's log", where, {}, more="\n".join(lines)))

    def action_restart(self) -> None:
        """Attach again, starting a backend if none runs."""
        if self._app.state.link == "attached":
            self._app.notify("The backend is running")
        else:
            self._app.follow()

    def show_lost(self, text: str, log: list[str]) -> None:
        """The backend has gone: say so, with the last lines of its log."""
        from .dialogs.ask import Ask

        def answer(key: str | None) -> None:
            if key == "r":
                self._app.follow()
            elif key == "q":
                self._app.exit()

        dialog = Ask(
            "The backend has gone", text, {"r": "start it again", "q": "quit"},
            more="\n".join(log), stay="look at what is here",
        )  # fmt: skip
        self._app.push_screen(dialog, answer)

    def action_stop_and_leave(self) -> None:
        """End the backend; the job in work is marked and can be made again."""
        self._app.send(p.Stop(when="now"), self._app.exit)

    def action_leave(self) -> None:
        """Quit; ask first when work runs or waits."""
        from .dialogs.ask import Ask

        app = self._app
        if not app.state.busy or app.state.link == "gone":
            app.exit()
            return

        def answer(key: str | None) -> None:
            if key == "l":
                app.exit(message="Work goes on: sdtui shows it again, sdtui stop ends it.")
            elif key == "s":
                app.action_stop_and_leave()

        waiting = len(app.state.waiting)
        text = "A picture is being made" if app.state.running else "Jobs wait"
        text += f" and {waiting} more wait." if app.state.running and waiting else "."
        answers = {"l": "leave it working and quit", "s": "stop it and quit"}
        app.push_screen(Ask("Quit", text, answers, stay="stay here"), answer)


def commands(app: SdtuiApp) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Every action for the palette: title, help, what to call."""

    def do(action: str) -> Callable[[], Any]:
        return lambda: app.run_worker(app.run_action(action), exclusive=False)

    rows = [
        ("Make the picture", "ctrl+j", "app.generate"),
        ("Cancel the running job", "ctrl+g; finished pictures stay", "app.cancel"),
        ("Cancel all jobs", "the running one and all that wait", "app.cancel_all"),
        ("Pause the queue, or go on", "the running job ends first", "app.pause"),
        ("Free the model's memory", "it is loaded again when needed", "app.free_model"),
        ("Generate screen", "F2", "app.go('generate')"),
        ("Queue screen", "F7", "app.go('queue')"),
        ("Presets", "F9 or a digit", "app.presets"),
        ("Save the settings as a preset", "ctrl+s", "app.save_preset"),
        ("Picture: show large", "Enter on the picture", "app.zoom"),
        ("Picture: use its settings", "i on the picture", "app.use_settings"),
        ("Picture: use its seed", "s on the picture", "app.use_seed"),
        ("Picture: copy its path", "y on the picture", "app.copy_path"),
        ("Picture: copy an scp line", "Y on the picture", "app.copy_scp"),
        ("Light or dark theme", "ctrl+t", "app.toggle_theme"),
        ("Draw the screen again", "ctrl+l", "app.redraw"),
        ("Start the backend", "ctrl+r, when it has gone", "app.restart"),
        ("Show the backend's log", "its last lines", "app.show_log"),
        ("Help", "F1", "app.help"),
        ("Quit", "ctrl+q", "app.leave"),
        ("End the backend and quit", "the job in work is marked", "app.stop_and_leave"),
    ]
    for title, text, action in rows:
        yield title, text, do(action)
    for preset in presets.load_all(app.places)[0]:
        yield f"Preset: {preset.name}", preset.about, lambda p=preset: app.apply_preset(p)
