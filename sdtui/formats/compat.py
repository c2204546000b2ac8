"""Whose behaviour a reader follows, and the rules by which we deviate from it on purpose.

A reader of a foreign format takes `compat`: "sdtui" (the default) follows AUTOMATIC1111 1.10.1
except where one of its rules applies; "a1111" gives the original's result to the letter. A rule
is a predicate over the input and its reason, so it holds for inputs nobody has recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Compat = Literal["sdtui", "a1111", "a1111-1.6.0", "forge"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One deliberate deviation."""

    name: str
    reason: str
    applies: Callable[[Any], bool]
    """Given the input of the reader: may the result differ from the original's?"""


def deviations(rules: tuple[Rule, ...], given: Any) -> list[Rule]:
    """The rules that apply to this input."""
    return [rule for rule in rules if rule.applies(given)]


def all_rules() -> dict[str, tuple[Rule, ...]]:
    """Every rule of every reader, by what is read."""
    from . import (
        attention,
        chunks,
        comments,
        extra_networks,
        grid_values,
        image_info,
        infotext,
        infotext_apply,
        model_titles,
        prompt_lists,
        prompt_schedule,
        sampler_names,
    )

    return {
        "sampler and schedule names": sampler_names.RULES,
        "weights in prompts": attention.RULES,
        "chunks of prompts": chunks.RULES,
        "schedules in prompts": prompt_schedule.RULES,
        "AND": prompt_schedule.AND_RULES,
        "calls of the model": prompt_schedule.CALL_RULES,
        "comments in prompts": comments.RULES,
        "tags in prompts": extra_networks.RULES,
        "prompt matrix": prompt_lists.MATRIX_RULES,
        "values of grids": grid_values.RULES,
        "infotext": infotext.RULES,
        "settings from infotext": infotext_apply.RULES + infotext_apply.NAME_RULES,
        "pictures": image_info.RULES,
        "names of checkpoints": model_titles.RULES,
    }
