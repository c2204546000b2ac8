"""Names of samplers and schedules, weights and styles in prompts, against A1111's own functions."""

from __future__ import annotations

from typing import Any

import pytest

from sdtui.diffusion.schedules import DEFAULT_RHO
from sdtui.formats import attention, styles
from sdtui.formats.compat import deviations
from sdtui.formats.sampler_names import (
    AUTOMATIC,
    RULES,
    SAMPLER_TRAITS,
    SCHEDULE_NAMES,
    SamplerTraits,
    import_names,
    resolve_names,
    schedule_label,
)
from tests.vectors_path import load

pytestmark = pytest.mark.vectors
NAMES = load("generation/sampler_names.json")
ATTENTION = load("generation/prompt_attention.json")["cases"]
STYLES = load("generation/styles.json")
NEED_THE_MODEL = ("Uniform", "SGM Uniform", "Simple", "Normal", "DDIM", "Beta")


def _options(traits: SamplerTraits) -> dict[str, Any]:
    """Our traits in A1111's words."""
    options: dict[str, Any] = {
        "scheduler": None if traits.schedule == AUTOMATIC else SCHEDULE_NAMES[traits.schedule][1],
        "second_order": traits.calls_per_step == 2,
        "uses_ensd": traits.uses_ensd,
        "discard_next_to_last_sigma": traits.discards_second_last,
        "brownian_noise": traits.brownian,
        "solver_type": traits.solver_type,
    }
    return {name: value for name, value in options.items() if value}


@pytest.mark.parametrize("row", NAMES["samplers_1_10_1"], ids=lambda row: row["name"])
def test_the_table_of_samplers(row: dict[str, Any]) -> None:
    traits = SAMPLER_TRAITS[row["name"]]
    assert (traits.function, list(traits.aliases)) == (row["function"], row["aliases"])
    assert _options(traits) == row["options"]


def test_the_order_of_samplers() -> None:
    rows = [row["name"] for row in NAMES["samplers_1_10_1"]]
    assert [name for name in SAMPLER_TRAITS if name in rows] == rows


@pytest.mark.parametrize("row", NAMES["schedulers_1_10_1"], ids=lambda row: row["label"])
def test_the_table_of_schedules(row: dict[str, Any]) -> None:
    names = SCHEDULE_NAMES[row["label"]]
    assert names == (row["label"], row["name"], *(row["aliases"] or []))
    assert schedule_label(row["name"]) == schedule_label(row["label"]) == row["label"]
    assert row["default_rho"] == DEFAULT_RHO.get(row["label"], -1)
    assert row["need_inner_model"] == (row["label"] in NEED_THE_MODEL)


OLD = [(version, row) for version, rows in NAMES["old_tables"].items() for row in rows]


@pytest.mark.parametrize(("version", "row"), OLD, ids=lambda value: str(value)[:40])
def test_old_names_lead_to_the_same_function(version: str, row: dict[str, Any]) -> None:
    """Before 1.9 every pair of sampler and schedule was an entry of its own."""
    sampler, schedule = resolve_names(row["name"], None)
    traits = SAMPLER_TRAITS[sampler]
    renamed = {"restart": "restart_sampler"}
    assert traits.function == renamed.get(row["function"], row["function"])
    own = row["options"].get("scheduler")
    assert schedule in (schedule_label(own or "automatic"), AUTOMATIC)
    known_since = {"pre1.0": {"scheduler", "discard_next_to_last_sigma"}}
    compared = known_since.get(version, set(_options(traits)) | set(row["options"])) - {"scheduler"}
    for name in compared:
        assert _options(traits).get(name) == row["options"].get(name), name


@pytest.mark.parametrize("case", NAMES["resolve"], ids=lambda c: f"{c['sampler']}|{c['schedule']}")
def test_resolve(case: dict[str, Any]) -> None:
    given = (case["sampler"], case["schedule"])
    assert list(import_names(*given, "a1111")) == case["import_result"]
    assert list(resolve_names(*given, "a1111")) == case["generate_result"]
    if not deviations(RULES, given):
        assert list(import_names(*given)) == case["import_result"]
        assert list(resolve_names(*given)) == case["generate_result"]


@pytest.mark.parametrize("case", ATTENTION, ids=lambda case: case["note"].replace(" ", "_"))
def test_attention(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(ValueError):
            attention.parse_attention(case["prompt"], "a1111")
        assert deviations(attention.RULES, case["prompt"])
        assert attention.parse_attention(case["prompt"])
        return
    wanted = [(text, pytest.approx(weight, rel=1e-9)) for text, weight in case["expected"]]
    assert attention.parse_attention(case["prompt"], "a1111") == wanted
    if not deviations(attention.RULES, case["prompt"]):
        assert attention.parse_attention(case["prompt"]) == wanted


@pytest.mark.parametrize("case", STYLES["merge"], ids=lambda case: case["style"] or "none")
def test_merge_a_style(case: dict[str, Any]) -> None:
    assert styles.merge(case["style"], case["prompt"]) == case["expected"]


@pytest.mark.parametrize("case", STYLES["apply"], ids=lambda case: "+".join(case["styles"]))
def test_apply_styles(case: dict[str, Any]) -> None:
    assert styles.apply(case["styles"], case["prompt"]) == case["expected"]


@pytest.mark.parametrize("case", STYLES["extract"], ids=lambda case: case["style_text"])
def test_extract_a_style(case: dict[str, Any]) -> None:
    assert list(styles.extract(case["style_text"], case["prompt"])) == case["expected"]
