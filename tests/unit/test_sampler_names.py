"""Names beyond the recorded cases: other tools' spellings, and the rules that say so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sdtui.formats.attention import parse_attention, uses_weights
from sdtui.formats.compat import all_rules, deviations
from sdtui.formats.sampler_names import RULES, SAMPLER_TRAITS, import_names, resolve_names
from sdtui.params.names import SAMPLERS, SCHEDULES


def test_the_schema_and_the_table_know_the_same_samplers() -> None:
    assert tuple(SAMPLER_TRAITS) == SAMPLERS


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_our_own_names_are_never_changed(sampler: str, schedule: str) -> None:
    assert resolve_names(sampler, schedule) == (sampler, schedule)
    assert not deviations(RULES, (sampler, schedule))


@pytest.mark.parametrize(
    ("sampler", "schedule", "found"),
    [
        ("euler_ancestral", "normal", ("Euler a", "Normal")),
        ("k_euler_a", None, ("Euler a", "Automatic")),
        ("dpmpp_2m_karras", None, ("DPM++ 2M", "Karras")),
        ("dpmpp_2m", "karras", ("DPM++ 2M", "Karras")),
        ("dpmpp_2m_sde_gpu", "exponential", ("DPM++ 2M SDE", "Exponential")),
        ("sample_dpmpp_3m_sde", None, ("DPM++ 3M SDE", "Automatic")),
        ("k_dpmpp_2m_ka", None, ("DPM++ 2M", "Karras")),
        ("uni_pc_bh2", "ddim_uniform", ("UniPC", "DDIM")),
        ("Euler SGM Uniform", None, ("Euler", "SGM Uniform")),
        ("euler A", "KARRAS", ("Euler a", "Karras")),
        ("ddim", "ddim_uniform", ("DDIM", "DDIM")),
        ("lcm", "sgm_uniform", ("LCM", "SGM Uniform")),
    ],
)
def test_other_spellings(sampler: str, schedule: str | None, found: tuple[str, str]) -> None:
    assert resolve_names(sampler, schedule) == found
    if resolve_names(sampler, schedule, "a1111") != found:
        assert deviations(RULES, (sampler, schedule))


@pytest.mark.parametrize("nonsense", ["", None, "Undefined", "Karras", "🐈", " ", "a" * 10_000])
def test_nonsense_is_the_default(nonsense: str | None) -> None:
    assert import_names(nonsense, nonsense) in (
        ("DPM++ 2M", "Automatic"),
        ("DPM++ 2M", "Karras"),
    )


def test_every_rule_says_why() -> None:
    for rules in all_rules().values():
        assert rules
        assert all(rule.name and len(rule.reason) > 20 for rule in rules)


def test_brackets_without_end_are_read_fast() -> None:
    assert uses_weights("(a" * 20_000)
    assert len(parse_attention("[a" * 20_000)) < 40_000


def test_names_do_not_load_torch() -> None:
    code = (
        "import sys, sdtui.formats.sampler_names, sdtui.formats.infotext_apply;"
        "from sdtui.formats.compat import all_rules; all_rules();"
        "print([m for m in ('torch', 'numpy', 'textual', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
