"""A text in the person's own $EDITOR, while the program is put aside."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from textual.app import App, SuspendNotSupported


def edit_text(app: App[object], text: str) -> str:
    """The text as it was left in $VISUAL, $EDITOR or nano; the old one if that failed."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "nano")
    with tempfile.TemporaryDirectory(prefix="sdtui-") as folder:
        path = Path(folder) / "prompt.txt"
        path.write_text(text + "\n", encoding="utf-8")
        try:
            with app.suspend():
                subprocess.run([*command, str(path)], check=True)
            return path.read_text(encoding="utf-8").rstrip("\n")
        except SuspendNotSupported:
            app.notify("An editor cannot be opened in this terminal", severity="warning")
        except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
            app.notify(f"{command[0]} did not work: {error}. Set EDITOR to yours", severity="error")
    return text
