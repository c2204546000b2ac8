"""Whose rules a prompt is read by: ours, or A1111's for pictures that were made by it.

Ours are A1111's but for the listed deviations (`RULES` of the readers). Where one of them applies
to the prompt of an old picture, that picture comes back only by the original's.
"""

from __future__ import annotations

from sdtui.params.names import PromptRules

from . import attention, prompt_schedule
from .compat import Compat
from .versions import parse_version

CURRENT: PromptRules = "Current"
A1111: PromptRules = "A1111"
BEFORE_1_6: PromptRules = "A1111 before 1.6"


def compat_of(rules: PromptRules) -> Compat:
    """Which way the readers go."""
    return "sdtui" if rules == CURRENT else "a1111"


def has_old_timelines(rules: PromptRules) -> bool:
    """Whether steps in schedules are counted as before A1111 1.6."""
    return rules == BEFORE_1_6


def rules_of_picture(
    prompt: str, negative_prompt: str, version: str | None, old_timelines: bool = False
) -> PromptRules:
    """The rules for taking a picture up again.

    Args:
        version: what made it, as its infotext says.
        old_timelines: the infotext or its version asks for those of A1111 before 1.6.
    """
    both = (prompt, negative_prompt)
    if old_timelines and any(prompt_schedule.changes(one) for one in both):
        return BEFORE_1_6
    if parse_version(version) is None:
        return CURRENT
    rules = (*attention.RULES, *prompt_schedule.RULES)
    differs = any(rule.applies(one) for rule in rules for one in both)
    differs |= any(rule.applies(prompt) for rule in prompt_schedule.AND_RULES)
    return A1111 if differs else CURRENT
