"""The last gate before the terminal: nothing that comes from a file or a prompt may command it."""

from __future__ import annotations

import re

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls, and the marks that turn the direction of the rest of the row."""


class Harmless(LineFilter):
    """Leaves out control characters, whichever widget draws them: Textual does so only in part."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if not any(COMMANDS.search(text) for text, _, _ in segments):
            return segments
        return [
            Segment(COMMANDS.sub("", text), style, control) for text, style, control in segments
        ]
