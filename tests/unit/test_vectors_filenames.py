"""Patterns of file names, sanitising and counters against A1111's own functions."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest

from sdtui.formats.filenames import Facts, expand, next_number, sanitize
from tests.vectors_path import load

pytestmark = pytest.mark.vectors
VECTORS = load("generation/filenames.json")
SIZE, MODEL, CLIP_SKIP = (64, 96), "DosMix", 2  # of the run, told by the expected texts only


def _facts(job: str) -> Facts:
    """The job as the file's source line tells it; a job of another name is one picture."""
    p = VECTORS["p"]
    many = re.search(r"(\d+)x(\d+)", job)
    size, count = (int(many[1]), int(many[2])) if many else (1, 1)
    return Facts(
        seed=13,
        now=datetime(2024, 5, 6, 7, 8, 9),
        prompt=f"masterpiece, {p['prompt']}, sharp",
        plain_prompt=p["prompt"],
        negative_prompt=p["negative_prompt"],
        steps=p["steps"],
        cfg_scale=p["cfg_scale"],
        sampler=p["sampler_name"],
        schedule=p["scheduler"],
        width=SIZE[0],
        height=SIZE[1],
        clip_skip=CLIP_SKIP,
        model_name=MODEL,
        model_hash=p["sd_model_hash"],
        batch_size=size,
        batch_count=count,
        index=p["iteration"] * size + p["batch_index"] if many else 0,
        first_seed=p["all_seeds"][0],
        last_seed=p["all_seeds"][-1],
        denoising_strength=p["denoising_strength"],
        styles=tuple(p["styles"]),
        pixels=lambda: bytes(SIZE[0] * SIZE[1] * 3),
    )


def test_the_file_holds_what_is_compared() -> None:
    known = {"source", "p", "filename_patterns", "sanitize", "next_sequence_number", "rules"}
    assert set(VECTORS) == known
    assert all(set(c) == {"pattern", "job", "expected"} for c in VECTORS["filename_patterns"])


@pytest.mark.parametrize("case", VECTORS["filename_patterns"], ids=lambda c: c["pattern"] or "-")
def test_patterns(case: dict[str, Any]) -> None:
    assert expand(case["pattern"], _facts(case["job"])) == case["expected"]


@pytest.mark.parametrize("case", VECTORS["sanitize"], ids=lambda case: ascii(case["text"])[:30])
def test_sanitize(case: dict[str, Any]) -> None:
    assert sanitize(case["text"], case["replace_spaces"]) == case["expected"]


@pytest.mark.parametrize("case", VECTORS["next_sequence_number"], ids=lambda c: str(c["files"]))
def test_counter(case: dict[str, Any]) -> None:
    assert next_number(case["files"], case["basename"]) == case["expected"]
