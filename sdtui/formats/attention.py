"""Weights in a prompt: (text), (text:1.2), [text], escapes, BREAK, as A1111 reads them.

    (x)       weight times 1.1, nested ones multiply
    (x:1.2)   weight times 1.2
    [x]       weight divided by 1.1
    \\( \\) \\[ \\] \\\\   the character itself
    BREAK     as a word of its own: a part with weight -1
"""

from __future__ import annotations

import re

from .compat import Compat, Rule

ROUND = 1.1
SQUARE = 1 / 1.1
BREAK_WEIGHT = -1.0
MAX_DEPTH = 200

_TOKEN = re.compile(
    r"""
    \\[()\[\]\\]                        # an escaped bracket or backslash
    | \\                                # a lone backslash, dropped
    | [(\[]                             # opens
    | :\s*(?P<weight>[+-]?[.\d]+)\s*\)  # closes with a weight
    | [)\]]                             # closes
    | [^\\()\[\]:]+                     # text
    | :
    """,
    re.VERBOSE,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _broken_weight(prompt: str) -> bool:
    return any(
        match["weight"] is not None and _number(match["weight"]) is None
        for match in _TOKEN.finditer(prompt)
    )


RULES = (
    Rule(
        "a weight that is no number is text",
        "A1111 fails on (a:1.2.3) and makes no picture; here it is the text a:1.2.3 in brackets",
        _broken_weight,
    ),
    Rule(
        f"brackets open more than {MAX_DEPTH} deep are text",
        "a text made of brackets would keep A1111 busy for minutes",
        lambda prompt: max(prompt.count("("), prompt.count("[")) > MAX_DEPTH,
    ),
)


def parse_attention(prompt: str, compat: Compat = "sdtui") -> list[tuple[str, float]]:
    """The parts of `prompt` with their weights, in order; neighbours of equal weight are one.

    Raises:
        ValueError: in the original's mode, for a weight that is no number.
    """
    texts: list[str] = []
    weights: list[float] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def add(text: str) -> None:
        for i, piece in enumerate(_BREAK.split(text)):
            texts.extend(["BREAK", piece] if i else [piece])
            weights.extend([BREAK_WEIGHT, 1.0] if i else [1.0])

    def close(bracket: str, factor: float) -> None:
        for i in range(opened[bracket].pop(), len(weights)):
            weights[i] *= factor

    for match in _TOKEN.finditer(prompt):
        token, weight = match[0], match["weight"]
        if token.startswith("\\"):
            texts.append(token[1:])
            weights.append(1.0)
        elif token in opened and (len(opened[token]) < MAX_DEPTH or compat != "sdtui"):
            opened[token].append(len(texts))
        elif weight is not None and opened["("]:
            factor = _number(weight)
            if factor is None:
                if compat != "sdtui":
                    raise ValueError(f"the weight {weight} in the prompt is not a number")
                add(token[:-1])
            close("(", ROUND if factor is None else factor)
        elif token == ")" and opened["("]:
            close("(", ROUND)
        elif token == "]" and opened["["]:
            close("[", SQUARE)
        else:
            add(token)
    for bracket, factor in (("(", ROUND), ("[", SQUARE)):
        while opened[bracket]:
            close(bracket, factor)
    return _joined(texts or [""], weights or [1.0])


def _joined(texts: list[str], weights: list[float]) -> list[tuple[str, float]]:
    """Neighbours of equal weight made one."""
    joined: list[tuple[str, float]] = []
    for text, weight in zip(texts, weights, strict=True):
        if joined and joined[-1][1] == weight:
            joined[-1] = (joined[-1][0] + text, weight)
        else:
            joined.append((text, weight))
    return joined


def uses_weights(prompt: str, compat: Compat = "sdtui") -> bool:
    """Whether any part of the prompt has a weight other than 1."""
    parts = parse_attention(prompt, compat)
    return any(weight != 1.0 and text != "BREAK" for text, weight in parts)
