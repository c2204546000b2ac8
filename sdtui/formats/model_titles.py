"""Which checkpoint a name means, among titles as A1111 shows them: “sdxl/x.safetensors [hash]”."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from .compat import Compat, Rule

_HASH = re.compile(r"\s*\[([0-9a-fA-F]+)\]\s*$")


def _aliases(title: str) -> set[str]:
    """Everything that names this one exactly."""
    bare = _HASH.sub("", title)
    digest = _HASH.search(title)
    path = PurePosixPath(bare)
    names = {title, bare, path.name, path.stem, str(path.with_suffix("")) if bare else ""}
    return names | ({digest[1]} if digest else set())


def match_title(search: str, titles: Sequence[str], compat: Compat = "sdtui") -> str | None:
    """The title that `search` means: exactly, else the shortest that contains it, else that
    contains it without its “[hash]”; with `compat` "sdtui" then without regard to capitals."""
    if not search:
        return None
    exact = next((title for title in titles if search in _aliases(title)), None)
    if exact is not None:
        return exact
    bare = _HASH.sub("", search)
    found = _containing(search, titles) or _containing(bare, titles)
    if found is None and compat == "sdtui":
        folded = {title.casefold(): title for title in reversed(titles)}
        return folded.get(_containing(bare.casefold(), list(folded)) or "")
    return found


def _containing(text: str, titles: Sequence[str]) -> str | None:
    return min((title for title in titles if text and text in title), key=len, default=None)


RULES = (
    Rule(
        "capitals do not matter where nothing else fits",
        "people write names from memory; A1111 finds nothing then",
        lambda given: match_title(*given, compat="a1111") is None,
    ),
)
