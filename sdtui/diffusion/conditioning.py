"""A prompt over the calls of the model: schedules, alternation and AND, encoded once each.

Terms: a prompt has one *part* for each of the prompts between ANDs; a part has *variants*, one for
each text that its schedule goes through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdtui.formats import prompt_schedule
from sdtui.formats.compat import Compat

from .load import Model
from .text import LARGE, Encoded, TextOptions, encode


@dataclass(frozen=True)
class Part:
    """One of the prompts that pull at the same time."""

    entries: prompt_schedule.Schedule
    variants: tuple[int, ...]
    """For each entry, the row of its text in `encoded`."""
    encoded: Encoded
    weight: float = 1.0
    compat: Compat = "sdtui"

    def variant_at(self, call: int) -> int:
        """The row of `encoded` used at a model call, counted from 0."""
        return self.variants[prompt_schedule.entry_at(self.entries, call, self.compat)]


class Conditioning:
    """Everything that a prompt says while a picture is made."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.weights = [part.weight for part in parts]
        self._constant = all(len(part.entries) == 1 for part in parts)
        self._first = tuple(part.variant_at(0) for part in parts)

    def variants_at(self, call: int) -> tuple[int, ...]:
        """Which variant of each part is used at a model call; equal ones give equal contexts."""
        if self._constant:
            return self._first
        return tuple(part.variant_at(call) for part in self.parts)

    def contexts(self, variants: Sequence[int]) -> Encoded:
        """One row for each part; shorter ones repeat their last vector (as A1111)."""
        rows = [part.encoded.context_NTC[i] for part, i in zip(self.parts, variants, strict=True)]
        length = max(len(row) for row in rows)
        rows = [
            torch.cat([row, row[-1:].expand(length - len(row), -1)]) if len(row) < length else row
            for row in rows
        ]
        pooled = [
            part.encoded.pooled_NC[i]
            for part, i in zip(self.parts, variants, strict=True)
            if part.encoded.pooled_NC is not None
        ]
        return Encoded(torch.stack(rows), torch.stack(pooled) if pooled else None)


def condition(
    model: Model, prompt: str, options: TextOptions, calls: int, *,
    hires_calls: int | None = None, negative: bool = False, old_timelines: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Conditioning:  # fmt: skip
    """Read and encode a prompt.

    Args:
        calls: model calls of the (first) pass: steps, twice for samplers that call twice a step.
        hires_calls: model calls of the hires pass, if this is for that.
        negative: AND is text in it; an empty one is all zeros for SDXL.
        old_timelines: schedules as before A1111 1.6.
        check: called now and then; may raise.
    """
    compat = options.compat
    composed = [(prompt, 1.0)] if negative else prompt_schedule.compose(prompt, compat)
    parts = []
    for text, weight in composed:
        entries = prompt_schedule.schedule(
            text, calls, hires_calls, old=old_timelines, compat=compat
        )
        used = Counter(text for _, text in entries)
        unique = list(used)
        encoded = encode(model, unique, options, list(used.values()), check)
        if negative and model.family in LARGE and unique == [""]:
            encoded = _zeros_like(encoded)
        variants = tuple(unique.index(text) for _, text in entries)
        parts.append(Part(entries, variants, encoded, weight, compat))
    return Conditioning(parts)


def _zeros_like(encoded: Encoded) -> Encoded:
    def zeros(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else torch.zeros_like(tensor)

    return Encoded(torch.zeros_like(encoded.context_NTC), zeros(encoded.pooled_NC))
