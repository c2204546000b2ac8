"""Changing the weight of what is under the cursor of a prompt, as A1111's ctrl+up and ctrl+down.

cat        -> (cat:1.1)         a word, or what is selected
(cat:1.1)  -> (cat:1.2), cat    brackets around the cursor; they go where the weight is 1
(cat)      -> (cat:1.2)         stands for 1.1
<lora:x:1> -> <lora:x:1.05>     a tag's first weight
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .attention import ROUND

WORD_STEP, TAG_STEP = 0.1, 0.05
_TAG = re.compile(r"(?P<head><\w+:[^:<>]+)(?::(?P<weight>[^:<>]*))?(?P<tail>(?::[^<>]*)?>)")
_BRACKET = re.compile(r"\\.|[()]", re.DOTALL)
_WEIGHT = re.compile(r":\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*$")
_WORD = re.compile(r"(?:\\.|[^\s,.;:!?(){}\[\]<>|\"\\])+")


@dataclass(frozen=True, slots=True)
class Edit:
    """A prompt after the change."""

    text: str
    start: int
    end: int
    """What the weight belongs to: select it, so that the next change acts on the same."""


def change_weight(text: str, start: int, end: int, steps: int) -> Edit | None:
    """The prompt with another weight for what is selected or, without a selection, at the cursor.

    Args:
        start, end: the selection; both the cursor's place if nothing is selected.
        steps: how many steps up (positive) or down.

    Returns None where there is nothing to weigh.
    """
    for match in _TAG.finditer(text):
        if match.start() < end and start < match.end():
            return _tag(text, match, steps)
    group = _around(text, start, end)
    if group is None:
        if start == end:
            start, end = _word(text, start)
        inner = text[start:end]
        if not inner.strip():
            return None
        return _put(text, start, end, inner, 1 + steps * WORD_STEP)
    first, last = group
    inner = text[first + 1 : last]
    told = _WEIGHT.search(inner)
    weight = float(told["weight"]) if told else ROUND
    inner = inner[: told.start()] if told else inner
    return _put(text, first, last + 1, inner, weight + steps * WORD_STEP)


def _put(text: str, start: int, end: int, inner: str, weight: float) -> Edit:
    shown = f"{round(weight, 4):g}"
    before, after = ("", "") if shown == "1" else ("(", f":{shown})")
    new = text[:start] + before + inner + after + text[end:]
    first = start + len(before)
    return Edit(new, first, first + len(inner))


def _tag(text: str, match: re.Match[str], steps: int) -> Edit | None:
    try:
        weight = float(match["weight"] or 1)
    except ValueError:
        return None
    shown = f"{round(weight + steps * TAG_STEP, 4):g}"
    head = text[: match.start()] + match["head"] + ":"
    new = head + shown + match["tail"] + text[match.end() :]
    return Edit(new, len(head), len(head) + len(shown))


def _around(text: str, start: int, end: int) -> tuple[int, int] | None:
    """(opening, closing) of the innermost round brackets around the selection."""
    opened: list[int] = []
    for match in _BRACKET.finditer(text):
        place = match.start()
        if match[0] == "(":
            opened.append(place)
        elif match[0] == ")" and opened:
            first = opened.pop()
            # The cursor may stand before the first or behind the last bracket; a selection may
            # hold the brackets too.
            if first <= start and end <= place + 1:
                return first, place
    return None


def _word(text: str, at: int) -> tuple[int, int]:
    """The word around a place; escaped brackets belong to it, as in miku_\\(vocaloid\\)."""
    for match in _WORD.finditer(text):
        if match.start() <= at <= match.end():
            return match.span()
    return at, at
