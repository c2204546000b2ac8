"""The values of a grid's axis as a person writes them: lists, ranges, search and replace.

    1, 2, 3          a list; "a, b", c keeps its comma inside quotes
    1-5              every whole number; 1-10 (+3) in steps; 1-10 [4] so many evenly spread
    0.3-0.6 (+0.1)   the same with fractions

A1111's X/Y/Z plot reads them so. A range includes its end when the steps meet it.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence

from .compat import Compat, Rule

MAX_VALUES = 1_000
_INTEGER, _FLOAT = r"[+-]?\s*\d+", r"[+-]?\s*(?:\d+(?:\.\d*)?|\.\d+)"
_SLACK = 1e-9


def _range(number: str) -> re.Pattern[str]:
    step = rf"\(\s*(?P<step>{number})\s*\)|\[\s*(?P<count>\d+)\s*\]"
    return re.compile(rf"\s*(?P<start>{number})\s*-\s*(?P<end>{number})\s*(?:{step})?\s*", re.ASCII)


_RANGES = {int: _range(_INTEGER), float: _range(_FLOAT)}


class GridValueError(ValueError):
    """An axis that cannot be read; the message says which value and why."""


def split(text: str) -> list[str]:
    """The values between commas, without the blanks around them."""
    try:
        rows = list(csv.reader(text.splitlines(), skipinitialspace=True))
    except csv.Error as error:
        raise GridValueError(f"“{text[:40]}” cannot be read as a list: {error}") from None
    return [value.strip() for row in rows for value in row]


def integers(text: str, compat: Compat = "sdtui") -> list[int]:
    """Whole numbers and ranges of them. Raises GridValueError."""
    return [int(value) for value in _numbers(text, int, compat)]


def floats(text: str, compat: Compat = "sdtui") -> list[float]:
    """Numbers and ranges of them. Raises GridValueError."""
    return _numbers(text, float, compat)


def _numbers(text: str, kind: type[int] | type[float], compat: Compat) -> list[float]:
    found: list[float] = []
    for value in split(text):
        if not value:
            continue
        match = _RANGES[kind].fullmatch(value)
        try:
            more = _spread(match, kind, compat) if match else [kind(value)]
            if not all(map(math.isfinite, more)):
                raise ValueError("infinite")
        except (ValueError, OverflowError):
            raise GridValueError(f"“{value[:40]}” is not a number or a range of numbers") from None
        found += more
        if len(found) > MAX_VALUES:
            raise GridValueError(f"“{value}” makes more than {MAX_VALUES} values")
    return found


def _spread(match: re.Match[str], kind: type[int] | type[float], compat: Compat) -> list[float]:
    start, end = (float(match[name].replace(" ", "")) for name in ("start", "end"))
    if match["count"]:
        many = min(int(match["count"]), MAX_VALUES + 1)
        each = (end - start) / (many - 1) if many > 1 else 0.0
        return [start + i * each for i in range(many)]
    step = float(match["step"].replace(" ", "")) if match["step"] else 1.0
    if step == 0:
        raise ValueError("a step of 0 never ends")
    if compat == "sdtui":
        steps = (end - start) / step
        many = math.floor(steps + _SLACK) + 1
    else:  # A1111 goes to end + 1 for whole numbers, to end + step for fractions, exclusive
        beyond = end + 1 if kind is int else end + step
        many = math.ceil((beyond - start) / step)
        step = step if kind is int else (start + step) - start  # as numpy's arange rounds
    return [start + i * step for i in range(min(max(many, 0), MAX_VALUES + 1))]


def replaced(prompt: str, negative_prompt: str, values: Sequence[str], to: str) -> tuple[str, str]:
    """Search and replace: the prompts with `to` in place of the first value, everywhere.

    Raises:
        GridValueError: the first value stands in neither prompt.
    """
    if values[0] not in prompt and values[0] not in negative_prompt:
        raise GridValueError(f"“{values[0]}” is neither in the prompt nor in the negative prompt")
    return prompt.replace(values[0], to), negative_prompt.replace(values[0], to)


def _differs(text: str) -> bool:
    """Given the text of an axis of whole numbers or of fractions."""
    for read in (integers, floats):
        try:
            if read(text) != read(text, "a1111"):
                return True
        except GridValueError:
            continue
    return False


RULES = (
    Rule(
        "a range ends where it says",
        "A1111 loses the end of a falling range (10-1 (-3) is 10, 7, 4), and by rounding runs one "
        "step past the end of some ranges of fractions",
        _differs,
    ),
)
