"""Settings of a picture taken over: from pasted text or from a picture on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sdtui.library.imports import read_infotext

if TYPE_CHECKING:
    from .app import SdtuiApp


def offer(app: SdtuiApp, text: str, *, pasted_into: str | None) -> None:
    """Show what the settings in `text` would change, and apply them if that is wanted.

    pasted_into: the editor that gets `text` itself if the person prefers that.
    """
    from .dialogs.import_text import ImportText

    read = read_infotext(app.places, text)
    new = app.settings.edit(**read.values)
    if read.values.get("checkpoint") not in (None, app.settings.value("checkpoint")):
        new = app.suited(new)

    def answer(what: str | None) -> None:
        if what == "apply":
            app.change_and_show(new)
            app.notify("The picture's settings are set")
        elif what == "text" and pasted_into:
            app.generate_screen.insert(pasted_into, text)

    dialog = ImportText(app.settings, new, read.warnings, pasted=pasted_into is not None)
    app.push_screen(dialog, answer)


def infotext_of(app: SdtuiApp, path: str) -> str:
    """The settings stored with a picture, "" if there are none."""
    for job in app.state.jobs.values():
        for image in job.images:
            if image.path == path:
                return image.infotext
    from sdtui.library.gallery import read_picture

    found = read_picture(Path(path))
    return found.infotext if found else ""
