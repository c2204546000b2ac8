"""The grammar of prompts with choices in them (`wildcards` says what it means)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

MAX_DEPTH = 40
MANY = 5_000
JOINER = ", "
_TOKEN = re.compile(
    r"\\.|\$\{(?P<name>\w+)(?P<sets>=!?|:)?|__(?P<wildcard>(?!_)[\w./*?-]+?)(?<!_)__|\$\$|::"
    r"|[{}|\[\]]|[^\\${}|\[\]_:]++|.",
    re.DOTALL,
)
_COUNT = re.compile(r"\s*(?P<low>\d{1,4})?(?P<dash>-)?(?P<high>\d{1,4})?\s*", re.ASCII)
_WEIGHT = re.compile(r"\s*(?:\d{1,9}\.?\d{0,9}|\.\d{1,9})\s*", re.ASCII)


class WildcardError(ValueError):
    """Choices that cannot be made; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    name: str


@dataclass(frozen=True, slots=True)
class Option:
    weight: float
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    low: int
    high: int
    joiner: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    sets: str
    """= or =! where it is given a value, : where a default follows, else it is only read."""
    nodes: tuple[Node, ...] = ()


Node = str | Wildcard | Variant | Variable


class _Parser:
    """One prompt. No token is looked at twice, so hostile prompts cost no more than long ones."""

    def __init__(self, prompt: str) -> None:
        self.tokens = list(_TOKEN.finditer(prompt))
        self.at = 0
        self._closes: dict[int, int] = {}
        opened: list[tuple[str, int]] = []
        for place, token in enumerate(self.tokens):
            text = "{" if token["name"] else token[0]
            if text in ("{", "["):
                opened.append((text, place))
            elif text == "]" and opened and opened[-1][0] == "[":
                self._closes[opened.pop()[1]] = place
            elif text == "}":
                while opened and opened[-1][0] == "[":
                    opened.pop()
                if opened:
                    self._closes[opened.pop()[1]] = place

    def _text(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][0] if place < len(self.tokens) else ""

    def sequence(self, depth: int, stops: tuple[str, ...] = ()) -> tuple[Node, ...]:
        """What comes before one of `stops`, or before the end."""
        nodes: list[Node] = []
        inside = -1  # the place where a [bracket] ends: its bars are its own
        while self.at < len(self.tokens) and (self._text() not in stops or self.at < inside):
            if self._text() == "[":
                inside = max(inside, self._closes.get(self.at, -1))
            for node in self._nodes(depth):
                if isinstance(node, str) and nodes and isinstance(nodes[-1], str):
                    nodes[-1] += node
                else:
                    nodes.append(node)
        return tuple(nodes)

    def _nodes(self, depth: int) -> Sequence[Node]:
        token, place = self.tokens[self.at], self.at
        self.at += 1
        if token["wildcard"]:
            return [Wildcard(token["wildcard"])]
        if place not in self._closes or token[0] == "[":
            return [token[0]]
        if depth >= MAX_DEPTH:
            raise WildcardError(f"braces are more than {MAX_DEPTH} deep")
        if not token["name"]:
            return self._variant(depth + 1)
        inner = self.sequence(depth + 1, ("}",))
        self.at += 1
        if token["sets"] or not inner:
            return [Variable(token["name"], token["sets"] or "", inner)]
        return [token[0], *inner, "}"]

    def _variant(self, depth: int) -> Sequence[Node]:
        start = self.at
        low, high = self._count()
        joiner = self._joiner() if self.at > start else JOINER
        head = "".join(token[0] for token in self.tokens[start : self.at])
        options = [self.option(depth)]
        while self._text() == "|":
            self.at += 1
            options.append(self.option(depth))
        self.at += 1
        if len(options) == 1 and not head and only_wildcard(options[0]) is None:
            return ["{", *options[0].nodes, "}"]
        return [Variant(low, high, joiner, tuple(options))]

    def _count(self) -> tuple[int, int]:
        match = _COUNT.fullmatch(self._text())
        if match is None or self._text(1) != "$$" or not (match["low"] or match["high"]):
            return 1, 1
        self.at += 2
        low = int(match["low"] or 1)
        if not match["dash"]:
            return low, low
        return low, int(match["high"] or MANY)

    def _joiner(self) -> str:
        ahead = 0
        while self._text(ahead) not in ("$$", "|", "{", "}", ""):
            ahead += 1
        if self._text(ahead) != "$$":
            return JOINER
        joiner = "".join(token[0] for token in self.tokens[self.at : self.at + ahead])
        self.at += ahead + 1
        return joiner

    def option(self, depth: int) -> Option:
        """One choice with its weight."""
        weight = 1.0
        if _WEIGHT.fullmatch(self._text()) and self._text(1) == "::":
            weight = float(self._text())
            self.at += 2
        return Option(weight, self.sequence(depth, ("|", "}") if depth else ()))


def only_wildcard(option: Option) -> Wildcard | None:
    nodes = [node for node in option.nodes if not isinstance(node, str) or node.strip()]
    return nodes[0] if len(nodes) == 1 and isinstance(nodes[0], Wildcard) else None


@lru_cache(maxsize=256)
def parsed(prompt: str) -> tuple[Node, ...]:
    return _Parser(prompt).sequence(0)


@lru_cache(maxsize=4096)
def line(text: str) -> Option:
    return _Parser(text).option(0)
