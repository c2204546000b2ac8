"""Texts of files and people on the terminal: aligned, and with nothing that commands it."""

from __future__ import annotations

from collections.abc import Iterable

GAP = "  "
JOINERS = "\u200c\u200d"
"""Invisible, but parts of words and emoji."""


def escaped(text: str) -> str:
    """One line with its control characters, direction changes and halves of characters visible."""
    return "".join(
        char if char.isprintable() or char in JOINERS else char.encode("unicode_escape").decode()
        for char in text
    )


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values in two columns; further lines of a value stand below its first."""
    rows = [(escaped(name), str(value)) for name, value in pairs]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        for line in value.split("\n"):
            print(f"{name:<{width}}{GAP}{escaped(line)}".rstrip())
            name = ""
