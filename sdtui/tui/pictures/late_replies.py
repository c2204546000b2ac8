"""Replies that come after we stopped waiting must not be typed into a text field.

Textual takes a reply it does not know for keys. When the terminal has not answered in time, its
parser is replaced by one that drops what our questions can bring, until DA1, the last answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.message import Message

_LAST = r"\x1b\[\?[\d;]*c"
_REPLY = re.compile(
    r"\x1b_G[^\x1b]*\x1b\\|\x1bP(?:>\||[01]\$r)[^\x1b]*\x1b\\|\x1b\[6;\d+;\d+t"
    rf"|\x1b\]11;[^\x1b\x07]*(?:\x1b\\|\x07)|{_LAST}"
)
_BEGUN = re.compile(
    r"(?:\x1b_G[^\x1b]*\x1b?|\x1bP(?:[>01][^\x1b]*\x1b?)?|\x1b\[6;[\d;]*"
    r"|\x1b\](?:1(?:1(?:;[^\x1b\x07]*\x1b?)?)?)?|\x1b\[\?[\d;]*)\Z"
)
"""A reply whose end has not been read yet. A lone ESC is the Escape key and is not held back."""
_LONGEST = 256


class _Deaf(XTermParser):
    """A parser that does not hear our probe's replies."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._held = ""
        self._listening = True

    def feed(self, data: str) -> Iterable[Message]:
        if not data or not self._listening:
            yield from super().feed(data)
            return
        data, self._held = self._held + data, ""
        if re.search(_LAST, data):
            self._listening = False
        data = _REPLY.sub("", data)
        begun = _BEGUN.search(data) if self._listening else None
        if begun and len(begun[0]) < _LONGEST:
            data, self._held = data[: begun.start()], begun[0]
        if data:
            yield from super().feed(data)


def drop_late_replies() -> None:
    """Drop them in the app that starts next. Call before `App.run`."""
    linux_driver.XTermParser = _Deaf  # type: ignore[misc]
