"""Comments in a prompt: from # to the end of the line, as A1111 takes them out."""

from __future__ import annotations

import re

from .compat import Compat, Rule

_LINES = re.compile(r"(^|\n)#[^\n]*(\n|$)")
_ENDS = re.compile(r"#[^\n]*(\n|$)")


def without_comments(prompt: str, compat: Compat = "sdtui") -> str:
    """The prompt without comments; it is what is encoded and written into the picture."""
    if "#" not in prompt:
        return prompt
    text = _ENDS.sub("\n", _LINES.sub("\n", prompt))
    return text.strip() if compat == "sdtui" else text


RULES = (
    Rule(
        "a comment leaves no blanks behind at the ends",
        "A1111 turns “cat # comment” into “cat” with a blank and an empty line, which come back "
        "from its infotext as part of the prompt",
        lambda prompt: without_comments(prompt, "a1111") != without_comments(prompt),
    ),
)
