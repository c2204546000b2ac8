"""A text in the person's own $EDITOR, while the program is put aside."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from textual.app import App, SuspendNotSupported

USUAL = ("editor", "nano", "vim", "vi")


def editor_command() -> list[str]:
    """$VISUAL, $EDITOR, else the first usual editor that is installed; [] if there is none."""
    for name in (os.environ.get("VISUAL"), os.environ.get("EDITOR"), *USUAL):
        command = shlex.split(name or "")
        if command and shutil.which(command[0]):
            return command
    return []


def edit_text(app: App[object], text: str) -> str:
    """The text as it was left in the person's editor; the old one if that failed."""
    command = editor_command()
    if not command:
        app.notify("No editor was found: set EDITOR to yours, e.g. EDITOR=nano", severity="error")
        return text
    with tempfile.TemporaryDirectory(prefix="sdtui-") as folder:
        path = Path(folder) / "prompt.txt"
        path.write_text(text + "\n", encoding="utf-8")
        try:
            with app.suspend():
                problem = _run([*command, str(path)])
        except SuspendNotSupported:
            problem = "an editor cannot be opened in this terminal"
        if not problem:
            try:
                return path.read_text(encoding="utf-8").rstrip("\n")
            except (OSError, UnicodeDecodeError) as error:
                problem = str(error)
    app.notify(f"{command[0]}: {problem}", severity="error", markup=False)
    return text


def _run(command: list[str]) -> str:
    """What went wrong. Nothing may be raised while the app is suspended: it would stay so."""
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        return str(error)
    return f"it ended with code {code}, so the prompt stays as it was" if code else ""
