"""Settings of a picture taken over: from pasted text or from a picture on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sdtui.formats import infotext, infotext_apply
from sdtui.params.base import specs
from sdtui.params.generate import GenerateParams

if TYPE_CHECKING:
    from .app import SdtuiApp


def offer(app: SdtuiApp, text: str, *, pasted_into: str | None) -> None:
    """Show what the settings in `text` would change, and apply them if that is wanted.

    pasted_into: the editor that gets `text` itself if the person prefers that.
    """
    from .dialogs.import_text import ImportText

    read = infotext_apply.to_values(infotext.parse(text))
    remarks = [str(problem) for problem in read.problems]
    if read.unused:
        remarks.append("Not used here: " + ", ".join(f"{k} {v}" for k, v in read.unused.items()))
    values = dict(read.values)
    wanted = values.get("checkpoint")
    if wanted is not None and wanted not in app.checkpoints:
        remarks.append(
            f"The checkpoint {wanted} is not here; {app.settings.value('checkpoint')} stays. "
            f"Its file belongs into {app.places.models}/checkpoints"
        )
        del values["checkpoint"]
    known = specs(GenerateParams)
    new = app.settings.edit(**{name: value for name, value in values.items() if name in known})

    def answer(what: str | None) -> None:
        if what == "apply":
            app.change_and_show(new)
            app.notify("The picture's settings are set")
        elif what == "text" and pasted_into:
            app.generate_screen.insert(pasted_into, text)

    dialog = ImportText(app.settings, new, remarks, pasted=pasted_into is not None)
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
