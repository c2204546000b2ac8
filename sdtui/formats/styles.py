"""Styles: named pieces of prompt, added on demand and recognised again in a finished prompt.

A style's text goes to the end of the prompt after a comma, or around it where it says {prompt}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_PLACE = "{prompt}"
_SPACES = re.compile(" {2,}")


@dataclass(frozen=True, slots=True)
class Style:
    """One row of A1111's styles.csv."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


def merge(style_text: str, prompt: str) -> str:
    """The prompt with one style's text added."""
    if _PLACE in style_text:
        return style_text.replace(_PLACE, prompt)
    return ", ".join(part for part in (prompt.strip(), style_text.strip()) if part)


def apply(style_texts: Iterable[str], prompt: str) -> str:
    """The prompt with several styles' texts added, one after another."""
    for text in style_texts:
        prompt = merge(text, prompt)
    return prompt


def extract(style_text: str, prompt: str) -> tuple[bool, str]:
    """(whether the prompt bears this style's text, the prompt without it)."""
    text, whole = (_SPACES.sub(" ", one.strip()) for one in (style_text, prompt))
    if _PLACE in text:
        left, _, right = text.partition(_PLACE)
        if whole.startswith(left) and whole.endswith(right):
            return True, whole[len(left) : len(whole) - len(right)]
    elif whole.endswith(text):
        return True, whole[: len(whole) - len(text)].removesuffix(", ")
    return False, prompt


def extract_all(
    styles: Sequence[Style], prompt: str, negative_prompt: str
) -> tuple[list[str], str, str]:
    """(names of the styles found, prompt and negative prompt without them).

    A style counts only if both of its texts are found; outer ones come off first, and the names
    are in the order in which the styles were added.
    """
    left, names = [one for one in styles if one.prompt or one.negative_prompt], []
    while True:
        for style in left:
            hit, rest = extract(style.prompt, prompt)
            negative_hit, negative_rest = extract(style.negative_prompt, negative_prompt)
            if hit and negative_hit:
                break
        else:
            return names[::-1], prompt, negative_prompt
        prompt, negative_prompt = rest, negative_rest
        left.remove(style)
        names.append(style.name)
