"""One text that stands for several prompts: a list, a prompt matrix, Easy Diffusion's operators.

lines            each line is a prompt
matrix           a cat|with hat|in space   every subset of what follows the first bar (A1111)
easy_diffusion   a {cat,dog} | in space    one of the braces' words; subsets of the bars' parts
"""

from __future__ import annotations

import itertools
import re

from .compat import Compat, Rule

MAX_PROMPTS = 5_000
_TOKEN = re.compile(r"\\.|[{},]|[^\\{},]++|\\", re.DOTALL)
_BAR = re.compile(r"\\.|[\[\]{}|]|[^\\\[\]{}|]++|\\", re.DOTALL)


class TooMany(ValueError):
    """A text that stands for more prompts than anybody can mean."""

    def __init__(self) -> None:
        super().__init__(f"that makes more than {MAX_PROMPTS} prompts; take some out")


def lines(text: str) -> list[str]:
    """The prompts of a text with one a line; blank lines are none."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _split_at_bars(prompt: str, compat: Compat) -> list[str]:
    """The parts between bars; in our own reading a bar inside brackets belongs to them."""
    if compat != "sdtui":
        return prompt.split("|")
    tokens = [match[0] for match in _BAR.finditer(prompt)]
    inside, opened = set[int](), list[int]()
    for place, token in enumerate(tokens):
        if token in ("[", "{"):
            opened.append(place)
        elif token in ("]", "}") and opened:
            start = opened.pop()
            if not opened and tokens[start] + token in ("[]", "{}"):
                inside.update(range(start, place))
    parts = [""]
    for place, token in enumerate(tokens):
        if token == "|" and place not in inside:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def matrix(
    prompt: str, put_at_start: bool = False, delimiter: str = ", ", compat: Compat = "sdtui"
) -> list[str]:
    """A1111's prompt matrix: the first part with every subset of the others.

    Args:
        put_at_start: the other parts come before the first.

    Raises:
        TooMany: more than MAX_PROMPTS.
    """
    first, *others = _split_at_bars(prompt, compat)
    if 2 ** len(others) > MAX_PROMPTS:
        raise TooMany
    prompts = []
    for number in range(2 ** len(others)):
        chosen = [part.strip().strip(",") for i, part in enumerate(others) if number >> i & 1]
        prompts.append(delimiter.join([*chosen, first] if put_at_start else [first, *chosen]))
    return prompts


def easy_diffusion(prompt: str) -> list[str]:
    """The prompts that Easy Diffusion makes of one line. Raises TooMany."""
    prompts = [one for text in easy_diffusion_sets(prompt) for one in _subsets(text)]
    if len(prompts) > MAX_PROMPTS:
        raise TooMany
    return prompts


def easy_diffusion_sets(prompt: str) -> list[str]:
    """Easy Diffusion's {a,b}: each word of the braces in turn; they nest. Raises TooMany."""
    tokens = [match[0] for match in _TOKEN.finditer(prompt)]
    closes, commas = _braces(tokens)
    # Innermost sets are closed first: each open one is a list of choices, made of partial texts.
    levels: list[tuple[list[str], list[str]]] = [([], [""])]
    ends = set(closes.values())
    for place, token in enumerate(tokens):
        done, partial = levels[-1]
        if place in closes:
            levels.append(([], [""]))
        elif place in ends:
            levels.pop()
            outer, before = levels.pop()
            levels.append((outer, _products(before, [*done, *partial])))
        elif place in commas:
            levels[-1] = ([*done, *partial], [""])
        else:
            levels[-1] = (done, [text + token for text in partial])
    return levels[0][1]


def _braces(tokens: list[str]) -> tuple[dict[int, int], set[int]]:
    """(opening -> closing braces that hold a comma, the places of these commas)."""
    stack: list[tuple[int, list[int]]] = []
    closes, commas = dict[int, int](), set[int]()
    for place, token in enumerate(tokens):
        if token == "{":
            stack.append((place, []))
        elif token == "," and stack:
            stack[-1][1].append(place)
        elif token == "}" and stack:
            start, own = stack.pop()
            if own:
                closes[start] = place
                commas.update(own)
    return closes, commas


def _products(left: list[str], right: list[str]) -> list[str]:
    if len(left) * len(right) > MAX_PROMPTS:
        raise TooMany
    return [first + second for first, second in itertools.product(left, right)]


def _subsets(prompt: str) -> list[str]:
    """Easy Diffusion's a | b | c: the first with every subset of the others, the last first."""
    first, *rest = (part.strip() for part in prompt.split("|"))
    others = [part for part in rest if part]
    if 2 ** len(others) > MAX_PROMPTS:
        raise TooMany
    flags = itertools.product((False, True), repeat=len(others))
    return [
        ", ".join(text for text in (first, *itertools.compress(others, chosen)) if text)
        for chosen in flags
    ]


MATRIX_RULES = (
    Rule(
        "a bar inside brackets does not divide a prompt matrix",
        "A1111 cuts [a|b] and {a|b} in two",
        lambda prompt: _split_at_bars(prompt, "sdtui") != prompt.split("|"),
    ),
)
