"""Tags in a prompt that load something: <lora:name:0.8>, <lora:name:te=0.5:unet=1:dyn=16>.

A tag is “<word:…>” and is cut out of the prompt. Arguments are separated by colons; one with an
equals sign has a name. In order they are: name, weight for the text encoder, weight for the U-Net
(the same if left out), how many ranks to use. `lyco` means the same as `lora`. A1111's rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .compat import Compat, Rule

_TAG = re.compile(r"<(\w+):([^>]+)>")
LORA_WORDS = ("lora", "lyco")


class TagError(ValueError):
    """A tag that cannot be meant; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag."""

    word: str
    items: tuple[str, ...]
    """What stands between the colons."""
    positional: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return f"<{self.word}:{':'.join(self.items)}>"


@dataclass(frozen=True, slots=True)
class LoraTag:
    """A LoRA to be used."""

    name: str
    te: float
    """Weight in the text encoder."""
    unet: float
    """Weight in the U-Net."""
    dyn: int | None = None
    """Use only so many ranks; None = all."""


def parse(prompt: str, compat: Compat = "sdtui") -> tuple[str, list[Tag]]:
    """(the prompt without tags, the tags in order)."""
    tags = [_tag(match[1], match[2], compat) for match in _matches(prompt)]
    end = prompt.rfind(">") + 1
    return _TAG.sub("", prompt[:end]) + prompt[end:], tags


def _matches(prompt: str) -> Iterator[re.Match[str]]:
    """Looks no farther than the last “>”: else a text of “<a:<a:<a:” takes quadratic time."""
    return _TAG.finditer(prompt, 0, prompt.rfind(">") + 1)


def _tag(word: str, arguments: str, compat: Compat) -> Tag:
    items = tuple(arguments.split(":"))
    positional, named = list[str](), dict[str, str]()
    for place, item in enumerate(items):
        if item.count("=") == 1 and not (place == 0 and compat == "sdtui"):
            key, _, value = item.partition("=")
            named[key] = value
        else:
            positional.append(item)
    return Tag(word.lower() if compat == "sdtui" else word, items, tuple(positional), named)


def loras(tags: Sequence[Tag]) -> list[LoraTag]:
    """The LoRAs among the tags.

    Raises:
        TagError: a weight or a number of ranks is no number.
    """
    return [_lora(tag) for tag in tags if tag.word in LORA_WORDS]


def unknown(tags: Sequence[Tag]) -> list[Tag]:
    """The tags that nothing here understands."""
    return [tag for tag in tags if tag.word not in LORA_WORDS]


def _lora(tag: Tag) -> LoraTag:
    given = tag.positional

    def number(name: str, place: int, otherwise: float) -> float:
        text = tag.named.get(name, given[place] if place < len(given) else None)
        return otherwise if text is None else _number(tag, text)

    te = number("te", 1, 1.0)
    dyn = number("dyn", 3, 0)
    if dyn != int(dyn) or dyn < 0:
        raise TagError(f"the number of ranks in {tag.text} must be a whole number")
    return LoraTag(given[0] if given else "", te, number("unet", 2, te), int(dyn) or None)


def _number(tag: Tag, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        shown = f"“{text}”" if text.strip() else "nothing"
        raise TagError(f"{tag.text} needs a number for its weight, not {shown}")
    return value


def _name_with_equals(prompt: str) -> bool:
    return any(match[2].split(":")[0].count("=") == 1 for match in _matches(prompt))


RULES = (
    Rule(
        "the first argument of a tag is its name, even with an equals sign in it",
        "A1111 takes <lora:a=b:0.8> for the LoRA called 0.8",
        _name_with_equals,
    ),
    Rule(
        "<LORA:…> is a LoRA",
        "A1111 cuts the tag out and ignores it without a word",
        lambda prompt: any(match[1] != match[1].lower() for match in _matches(prompt)),
    ),
)
