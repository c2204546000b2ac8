"""What the parts of a prompt are, for colours in the editor. Some 1 ms for a long prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .attention import ROUND, SQUARE, TOKEN
from .extra_networks import LORA_WORDS

Kind = Literal["weight", "word", "tag", "lora", "wildcard", "comment"]
MAX_LENGTH = 20_000
"""A longer text is not coloured: nobody writes it by hand."""
MAX_DEPTH = 30

_PARTS = re.compile(
    r"(?P<comment>\#[^\n]*)|<(?P<tag>\w+):(?P<name>[^:<>\n]+)[^<>\n]*>"
    r"|\b(?P<word>BREAK|AND)\b|__(?P<wildcard>(?!_)[\w./*?-]+?)(?<!_)__"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a prompt."""

    start: int
    end: int
    kind: Kind
    """weight (other than 1), word (BREAK, AND), lora, tag (of another kind), wildcard, comment."""
    weight: float = 1.0
    name: str = ""
    """Of a LoRA or wildcard, to be looked up."""


def spans(prompt: str) -> list[Span]:
    """The stretches that mean something, by their start; a later one lies over an earlier one."""
    if len(prompt) > MAX_LENGTH:
        return []
    found = [
        Span(start, end, "weight", weight) for start, end, weight in _weights(prompt) if weight != 1
    ]
    for match in _PARTS.finditer(prompt):
        kind: Kind = "word"
        if match["comment"]:
            kind = "comment"
        elif match["tag"]:
            kind = "lora" if match["tag"].lower() in LORA_WORDS else "tag"
        elif match["wildcard"]:
            kind = "wildcard"
        name = match["name"] or match["wildcard"] or ""
        found.append(Span(match.start(), match.end(), kind, name=name))
    return sorted(found, key=lambda span: span.start)


def _weights(prompt: str) -> list[tuple[int, int, float]]:
    """(start, end, weight) of the text between brackets; those of schedules do not count."""
    found: list[list[float]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for match in TOKEN.finditer(prompt):
        token = match[0]
        if token in opened and len(opened[token]) < MAX_DEPTH:
            opened[token].append(len(found))
        elif opened["("] and (token == ")" or match["weight"] is not None):
            factor = _factor(match["weight"])
            for segment in found[opened["("].pop() :]:
                segment[2] *= factor
        elif token == "]" and opened["["]:
            first = opened["["].pop()
            inside = found[first:]
            words = prompt[int(inside[0][0]) : int(inside[-1][1])] if inside else ""
            if ":" not in words and "|" not in words:
                for segment in inside:
                    segment[2] *= SQUARE
        else:
            found.append([match.start(), match.end(), 1.0])
    return [(int(start), int(end), weight) for start, end, weight in found]


def _factor(weight: str | None) -> float:
    try:
        return ROUND if weight is None else float(weight)
    except ValueError:
        return ROUND
