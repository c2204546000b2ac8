"""Weights in a prompt: (text), (text:1.2), [text], escapes, BREAK, as A1111 reads them.

(x)       weight times 1.1, nested ones multiply
(x:1.2)   weight times 1.2
[x]       weight divided by 1.1
\\( \\) \\[ \\] \\\\   the character itself
BREAK     as a word of its own: a part with weight -1
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .compat import Compat, Rule

ROUND = 1.1
SQUARE = 1 / 1.1
BREAK = "BREAK"
BREAK_WEIGHT = -1.0
MAX_DEPTH = 200

_CLOSING_WEIGHT = r":\s*(?P<weight>[+-]?[.\d]+)\s*\)"
TOKEN = re.compile(
    rf"""
    \\[()\[\]\\]                        # an escaped bracket or backslash
    | \\                                # a lone backslash, dropped
    | [(\[]                             # opens
    | {_CLOSING_WEIGHT}                 # closes with a weight
    | [)\]]                             # closes
    | (?:[^\\()\[\]:]++|(?!{_CLOSING_WEIGHT.replace("?P<weight>", "?:")}):)++
    """,
    re.VERBOSE,
)
_BREAK = re.compile(rf"\b{BREAK}\b")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def broken_weight(prompt: str) -> str | None:
    """The first weight in `prompt` that is no number (1.2.3), or None."""
    opened = 0
    for match in TOKEN.finditer(prompt):
        if match[0] == "(":
            opened += 1
        elif opened and (match[0] == ")" or match["weight"] is not None):
            opened -= 1
            if match["weight"] is not None and _number(match["weight"]) is None:
                return str(match["weight"])
    return None


def _depths(prompt: str) -> Iterator[tuple[str, int]]:
    """(token, the larger of the depths of round and square brackets that are open after it)."""
    depth = {"(": 0, "[": 0}
    for match in TOKEN.finditer(prompt):
        token = match[0]
        if token in depth:
            depth[token] += 1
        elif token in (")", "]") or match["weight"] is not None:
            bracket = "[" if token == "]" else "("
            depth[bracket] = max(0, depth[bracket] - 1)
        yield token, max(depth.values())


def _too_deep(prompt: str) -> bool:
    return any(depth > MAX_DEPTH for _, depth in _depths(prompt))


def _break_in_brackets(prompt: str) -> bool:
    """Brackets that are never closed hold everything to the end."""
    if BREAK not in prompt:
        return False
    return any(depth and _BREAK.search(token) for token, depth in _depths(prompt))


RULES = (
    Rule(
        "a weight that is no number is text",
        "A1111 fails on (a:1.2.3) and makes no picture; here it is the text a:1.2.3 in brackets",
        lambda prompt: broken_weight(prompt) is not None,
    ),
    Rule(
        "BREAK works inside brackets",
        "A1111 multiplies its marker by the weight, no longer knows it, and feeds the word BREAK "
        "to the text encoder with a negative weight",
        _break_in_brackets,
    ),
    Rule(
        f"brackets open more than {MAX_DEPTH} deep are text",
        "a text made of brackets would keep A1111 busy for minutes",
        _too_deep,
    ),
)


class _Parts:
    """Text in segments between which the weight may change."""

    def __init__(self) -> None:
        self.texts: list[list[str]] = []
        self.weights: list[float] = []
        self.ended = True

    def add(self, text: str) -> None:
        """More text, to the segment at hand."""
        if self.ended:
            self.texts.append([])
            self.weights.append(1.0)
            self.ended = False
        self.texts[-1].append(text)

    def add_with_breaks(self, text: str) -> None:
        """Text in which the word BREAK is a part of its own and swallows the blanks around it."""
        first, *others = _BREAK.split(text)
        self.add(first.rstrip() if others else first)
        for i, piece in enumerate(others, 1):
            self.texts.append([BREAK])
            self.weights.append(BREAK_WEIGHT)
            self.ended = True
            self.add(piece.strip() if i < len(others) else piece.lstrip())

    def end(self) -> int:
        """End the segment; the index of the next."""
        self.ended = True
        return len(self.texts)

    def multiply(self, first: int, factor: float, spare_breaks: bool) -> None:
        self.ended = True
        for i in range(first, len(self.weights)):
            if not (spare_breaks and self.weights[i] == BREAK_WEIGHT and self.texts[i] == [BREAK]):
                self.weights[i] *= factor

    def joined(self) -> list[tuple[str, float]]:
        """(text, weight) of each part; neighbours of equal weight are one."""
        joined: list[tuple[list[str], float]] = []
        for texts, weight in zip(self.texts, self.weights, strict=True):
            if joined and joined[-1][1] == weight:
                joined[-1][0].extend(texts)
            else:
                joined.append((list(texts), weight))
        return [("".join(texts), weight) for texts, weight in joined] or [("", 1.0)]


def parse_attention(prompt: str, compat: Compat = "sdtui") -> list[tuple[str, float]]:
    """The parts of `prompt` with their weights, in order; neighbours of equal weight are one.

    Raises:
        ValueError: in the original's mode, for a weight that is no number.
    """
    ours = compat == "sdtui"
    parts = _Parts()
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for match in TOKEN.finditer(prompt):
        token, weight = match[0], match["weight"]
        if token.startswith("\\"):
            parts.add(token[1:])
        elif token in opened and (len(opened[token]) < MAX_DEPTH or not ours):
            opened[token].append(parts.end())
        elif weight is not None and opened["("]:
            factor = _number(weight)
            if factor is None:
                if not ours:
                    raise ValueError(f"the weight {weight} in the prompt is not a number")
                parts.add(token[:-1])
            parts.multiply(opened["("].pop(), ROUND if factor is None else factor, ours)
        elif token == ")" and opened["("]:
            parts.multiply(opened["("].pop(), ROUND, ours)
        elif token == "]" and opened["["]:
            parts.multiply(opened["["].pop(), SQUARE, ours)
        else:
            parts.add_with_breaks(token)
    for bracket, factor in (("(", ROUND), ("[", SQUARE)):
        while opened[bracket]:
            parts.multiply(opened[bracket].pop(), factor, ours)
    return parts.joined()


def readable(prompt: str, compat: Compat) -> Compat:
    """`compat`, but ours for a prompt that the original cannot read in time, or at all."""
    odd = compat != "sdtui" and (_too_deep(prompt) or broken_weight(prompt) is not None)
    return "sdtui" if odd else compat


def uses_weights(prompt: str, compat: Compat = "sdtui") -> bool:
    """Whether any part of the prompt has a weight other than 1."""
    if "(" not in prompt and "[" not in prompt:
        return False
    parts = parse_attention(prompt, compat)
    return any(weight != 1.0 and text != BREAK for text, weight in parts)
