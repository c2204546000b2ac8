"""Prompts that change while a picture is made, and prompts that are composed.

    [from:to:when]  `from` until step `when`, then `to`; also [to:when] and [from::when]
    [a|b|c]         another one at each step
    a AND b:0.5     two prompts that pull at the same time, each with a weight

`when` with a dot is a share of the steps, without one a step. Steps are counted in calls of the
model: samplers that call it twice a step have twice as many. Meaning and quirks are A1111's.

Grammar: brackets must nest; outside of them stray brackets and colons are text. `(x)`, `(x:y)` and
`[x]` are left as they are, weights are read later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .compat import Compat, Rule

Schedule = list[tuple[int, str]]
"""(end, text): `text` is used up to and with model call number `end`, counted from 0."""

_TOKEN = re.compile(r"[\[\]():|]|(?:[^\\\[\]():|]|\\.)++|\\")
_NUMBER = re.compile(
    r"\s*([+-]?(?:[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+))\s*"
)
_AND = re.compile(r"\bAND\b")
_AND_WEIGHT = re.compile(r"[-+]?(?:[0-9]+\.?|[0-9]*\.[0-9]+)")
_OPENS = {"]": "[", ")": "("}


@dataclass(frozen=True, slots=True)
class _Switch:
    before: list[object]
    after: list[object]
    when: str
    number: int
    """Its place among the prompt's switches."""


@dataclass(frozen=True, slots=True)
class _Alternation:
    choices: list[list[object]]


class _Frame:
    """A bracket that is open, and what is between its separators."""

    def __init__(self, bracket: str) -> None:
        self.bracket = bracket
        self.parts: list[list[object]] = [[]]
        self.separators: list[str] = []

    def flat(self) -> list[object]:
        """Everything in it, the bracket and the separators as text."""
        items: list[object] = [self.bracket, *self.parts[0]]
        for separator, part in zip(self.separators, self.parts[1:], strict=True):
            items += [separator, *part]
        return items

    def when(self) -> str | None:
        """The last part if it is a number."""
        part = self.parts[-1]
        text = part[0] if len(part) == 1 else None
        match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
        return match[1] if match else None


class _Prompt:
    """A prompt as a tree: strings, lists, switches and alternations."""

    def __init__(self, prompt: str) -> None:
        self.root: list[object] = []
        self.switches: list[_Switch] = []
        self.alternates = False
        self.strict = True
        """A1111's parser reads it; else it takes all of it for text."""
        self._open: list[_Frame] = []
        for match in _TOKEN.finditer(prompt):
            self._take(match[0])
        self._give_up()

    @property
    def changes(self) -> bool:
        return bool(self.switches) or self.alternates

    def _take(self, token: str) -> None:
        frame = self._open[-1] if self._open else None
        if token in ("[", "("):
            self._open.append(_Frame(token))
        elif token in _OPENS:
            node = self._closed(frame) if frame and frame.bracket == _OPENS[token] else None
            if node is None:
                self._give_up()
                self.root.append(token)
            else:
                self._open.pop()
                self._level().append(node)
        elif frame and token in (":", "|"):
            frame.separators.append(token)
            frame.parts.append([])
        else:
            self.strict &= token not in ("|", "\\")
            self._level().append(token)

    def _level(self) -> list[object]:
        return self._open[-1].parts[-1] if self._open else self.root

    def _closed(self, frame: _Frame) -> object | None:
        """What a bracket means once it is closed, or None where it means nothing."""
        parts, separators = frame.parts, set(frame.separators)
        if frame.bracket == "(":
            return [*frame.flat(), ")"] if frame.separators in ([], [":"]) else None
        if not separators:
            return ["[", parts[0], "]"]
        if separators == {"|"}:
            self.alternates = True
            return _Alternation(parts)
        when = frame.when()
        if separators == {":"} and len(parts) <= 3 and when is not None:
            before = parts[0] if len(parts) == 3 else []
            self.switches.append(_Switch(before, parts[-2], when, len(self.switches)))
            return self.switches[-1]
        return None

    def _give_up(self) -> None:
        """No open bracket can mean anything any more: they are text, what is in them stays."""
        for frame in self._open:
            self.strict &= "|" not in frame.separators
            self.root.extend(frame.flat())
        self._open.clear()

    def at(self, step: int, ends: Sequence[int]) -> str:
        """The text at a step, counted from 1; `ends` are the steps of the switches."""
        pieces: list[str] = []
        todo: list[object] = [self.root]
        while todo:
            item = todo.pop()
            if isinstance(item, str):
                pieces.append(item)
            elif isinstance(item, _Switch):
                todo.append(item.before if step <= ends[item.number] else item.after)
            elif isinstance(item, _Alternation):
                todo.append(item.choices[(step - 1) % len(item.choices)])
            elif isinstance(item, list):
                todo.extend(reversed(item))
        return "".join(pieces)


def _end(when: str, steps: int, offset_steps: int, old: bool) -> int:
    """The last step before a switch; below 1 = from the start on the other text."""
    value = float(when)
    if old:
        value = value * steps if value < 1 else value
    elif "." in when:
        value = (value - (1.0 if offset_steps else 0.0)) * steps
    else:
        value -= offset_steps
    return int(max(-1.0, min(float(steps), value)))


def changes(prompt: str) -> bool:
    """Whether the prompt has a schedule or an alternation."""
    return _Prompt(prompt).changes


def schedule(
    prompt: str, steps: int, hires_steps: int | None = None, *, old: bool = False,
    compat: Compat = "sdtui",
) -> Schedule:  # fmt: skip
    """What the prompt says at which model call, at least one entry; the last ends at `steps`.

    Args:
        steps: model calls of the (first) pass.
        hires_steps: model calls of the hires pass, if the schedule is for that: steps are counted
            on from the first pass, and a share of 1.5 is the middle of the hires pass.
        old: as before A1111 1.6: below 1 is a share, and a hires pass counts from the start.
    """
    offset = 0
    if hires_steps is not None and not old:
        offset, steps = steps, hires_steps
    tree = _Prompt(prompt)
    if not tree.changes or not (tree.strict or compat == "sdtui"):
        return [(steps, prompt)]
    ends = [_end(switch.when, steps, offset, old) for switch in tree.switches]
    stops = set(range(1, steps + 1)) if tree.alternates else {steps}
    stops.update(end for end in ends if end >= 1)
    return [(stop, tree.at(stop, ends)) for stop in sorted(stops)]


def entry_at(entries: Schedule, call: int, compat: Compat = "sdtui") -> int:
    """The index of the entry used at a model call, counted from 0."""
    for index, (end, _) in enumerate(entries):
        if call <= end:
            return index
    return len(entries) - 1 if compat == "sdtui" else 0


def compose(prompt: str, compat: Compat = "sdtui") -> list[tuple[str, float]]:
    """The prompts between the ANDs, each with its weight (“: 0.5” at its end; 1 if none)."""
    parts = _AND.split(prompt)
    if len(parts) == 1 and compat == "sdtui":
        return [(prompt.rstrip(), 1.0)]
    return [_weighted(part) for part in parts]


def _weighted(part: str) -> tuple[str, float]:
    text, colon, number = part.rstrip().rpartition(":")
    if colon and _AND_WEIGHT.fullmatch(number.lstrip()):
        return text.rstrip(), float(number)
    return part.rstrip(), 1.0


def _is_ignored(prompt: str) -> bool:
    tree = _Prompt(prompt)
    return tree.changes and not tree.strict


RULES = (
    Rule(
        "a | outside of [a|b], or a backslash at a line's end, is text",
        "A1111's parser then silently takes every [a:b:5] of the prompt for text",
        _is_ignored,
    ),
)
AND_RULES = (
    Rule(
        "without AND a prompt is taken as it is",
        "A1111 takes “ratio 16:9” at the end of a prompt for a weight of 9",
        lambda prompt: compose(prompt, "a1111") != compose(prompt),
    ),
)
CALL_RULES = (
    Rule(
        "the last text stays to the end",
        "when a sampler calls the model more often than planned (DPM adaptive), A1111 goes back "
        "to the first",
        lambda given: given[1] > given[0][-1][0],
    ),
)
