"""Prompts with choices in them, in the grammar of Dynamic Prompts.

    {red|blue}          one of them
    {3::red|blue}       red three times as often
    {2$$a|b|c}          two different ones; {1-2$$…}, {2-$$…} and {-2$$…} give a range
    {2$$ and $$a|b|c}   joined by “ and ” instead of a comma
    __color__           a line of the wildcard file; __clothes/*__ of several, lines hold choices
    ${c=!{red|blue}}    chooses now for every ${c}; without ! each ${c} chooses anew

A bracket may hold its own bar: {[a|b]|c} has two choices. Braces without a bar, count or wildcard
stay as they are, and so does a backslash with what it escapes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from random import Random

from .wildcard_grammar import (
    MANY,
    MAX_DEPTH,
    Node,
    Option,
    Variable,
    Variant,
    Wildcard,
    WildcardError,
    line,
    only_wildcard,
    parsed,
)

__all__ = ["Lookup", "WildcardError", "every", "expand", "has_choices"]

Lookup = Callable[[str], Sequence[str]]
"""Name of a wildcard, perhaps with * in it -> its lines. Raises WildcardError if there is none."""

MAX_CHOICES = 20_000
"""A prompt with more choices to make is taken for one that never ends."""
MAX_PROMPTS = MANY
"""`every` gives at most so many."""
MAX_LENGTH = 100_000


def has_choices(prompt: str) -> bool:
    """Whether there is anything to choose. Raises WildcardError."""
    return any(not isinstance(node, str) for node in parsed(prompt))


class _Expansion:
    """What both ways of expanding share: files, and limits for prompts that never end."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.made = 0

    def count(self, depth: int, name: str) -> None:
        self.made += 1
        if depth > MAX_DEPTH:
            raise WildcardError(f"“{name}” leads back to itself")
        if self.made > MAX_CHOICES:
            raise WildcardError(f"“{name}” leads to more than {MAX_CHOICES} choices")

    def lines(self, wildcard: Wildcard, depth: int) -> tuple[Option, ...]:
        self.count(depth, f"__{wildcard.name}__")
        return tuple(line(text) for text in self.lookup(wildcard.name))

    def options(self, variant: Variant, depth: int) -> tuple[Option, ...]:
        self.count(depth, "{…}")
        alone = only_wildcard(variant.options[0]) if len(variant.options) == 1 else None
        return self.lines(alone, depth) if alone else variant.options


class _Random(_Expansion):
    def __init__(self, lookup: Lookup, random: Random) -> None:
        super().__init__(lookup)
        self.random = random
        self.values: dict[str, tuple[Node, ...]] = {}

    def text(self, nodes: Sequence[Node], depth: int = 0) -> str:
        pieces = [node if isinstance(node, str) else self._one(node, depth + 1) for node in nodes]
        if sum(map(len, pieces)) > MAX_LENGTH:
            raise WildcardError(f"the choices make a prompt of more than {MAX_LENGTH} characters")
        return "".join(pieces)

    def _one(self, node: Node, depth: int) -> str:
        if isinstance(node, Wildcard):
            return self.text(self._draw(list(self.lines(node, depth))).nodes, depth)
        if isinstance(node, Variant):
            left = list(self.options(node, depth))
            many = self.random.randint(min(node.low, len(left)), min(node.high, len(left)))
            drawn = [self._draw(left) for _ in range(many)]
            return node.joiner.join(self.text(option.nodes, depth) for option in drawn)
        assert isinstance(node, Variable)
        if node.sets.startswith("="):
            chosen = (self.text(node.nodes, depth),) if node.sets == "=!" else node.nodes
            self.values[node.name] = chosen
            return ""
        self.count(depth, f"${{{node.name}}}")
        return self.text(_value(self.values, node), depth)

    def _draw(self, left: list[Option]) -> Option:
        """Take one out."""
        weights = [option.weight for option in left]
        places = range(len(left))
        (place,) = self.random.choices(places, weights if any(weights) else None)
        return left.pop(place)


_Values = dict[str, tuple[Node, ...]]
_Partial = tuple[str, _Values]


class _Every(_Expansion):
    def texts(self, nodes: Sequence[Node], values: _Values, depth: int = 0) -> list[_Partial]:
        partials: list[_Partial] = [("", values)]
        for node in nodes:
            longer = (
                (text + more, after)
                for text, before in partials
                for more, after in self._each(node, before, depth + 1)
            )
            partials = _bounded(longer)
        return partials

    def _each(self, node: Node, values: _Values, depth: int) -> Iterator[_Partial]:
        if isinstance(node, str):
            yield node, values
        elif isinstance(node, Wildcard):
            for option in self.lines(node, depth):
                yield from self.texts(option.nodes, values, depth)
        elif isinstance(node, Variant):
            yield from self._drawn(node, values, depth)
        elif node.sets == "=!":
            for text, after in self.texts(node.nodes, values, depth):
                yield "", {**after, node.name: (text,)}
        elif node.sets == "=":
            yield "", {**values, node.name: node.nodes}
        else:
            self.count(depth, f"${{{node.name}}}")
            yield from self.texts(_value(values, node), values, depth)

    def _drawn(self, variant: Variant, values: _Values, depth: int) -> Iterator[_Partial]:
        options = self.options(variant, depth)
        low, high = min(variant.low, len(options)), min(variant.high, len(options))
        for many in range(low, high + 1):
            for drawn in itertools.permutations(options, many):
                nodes: list[Node] = []
                for option in drawn:
                    nodes += [variant.joiner, *option.nodes] if nodes else option.nodes
                yield from self.texts(nodes, values, depth)


def _value(values: _Values, node: Variable) -> tuple[Node, ...]:
    if node.name not in values and node.sets != ":":
        raise WildcardError(f"${{{node.name}}} has no value; give it one with ${{{node.name}=…}}")
    return values.get(node.name, node.nodes)


def _bounded(partials: Iterator[_Partial]) -> list[_Partial]:
    found = list(itertools.islice(partials, MAX_PROMPTS + 1))
    if len(found) > MAX_PROMPTS:
        raise WildcardError(f"the choices make more than {MAX_PROMPTS} prompts")
    if sum(len(text) for text, _ in found) > MAX_PROMPTS * MAX_LENGTH // 100:
        raise WildcardError("the choices make prompts without end")
    return found


def expand(prompt: str, lookup: Lookup, random: Random) -> str:
    """The prompt with every choice made. Raises WildcardError."""
    return _Random(lookup, random).text(parsed(prompt))


def every(prompt: str, lookup: Lookup) -> list[str]:
    """All prompts that the choices allow, the last choice changing first.

    Raises:
        WildcardError: also where there are more than MAX_PROMPTS.
    """
    return [text for text, _ in _Every(lookup).texts(parsed(prompt), {})]
