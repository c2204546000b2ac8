"""Hashes as A1111 computes them, on its own cases."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from sdtui.formats.compat import deviations
from sdtui.formats.model_titles import RULES, match_title
from sdtui.library import hashes
from sdtui.library.places import find_places
from tests.vectors_path import load

pytestmark = pytest.mark.vectors
VECTORS = load("generation/hashes.json")
CASES: list[dict[str, Any]] = VECTORS["hashes"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_hashes(case: dict[str, Any], home: Path) -> None:
    places = find_places(home)
    known = {"name", "file_base64", "bytes", "sha256", "autov2_sha256_10", "old_hash_8", "metadata",
             "addnet_hash_after_header", "lora_shorthash_autov3_12"}  # fmt: skip
    assert set(case) <= known, "a field that this test does not know"
    inline = case.get("file_base64")
    path = home / ("a.safetensors" if inline else "a.ckpt")
    path.write_bytes(base64.b64decode(inline) if inline else case["bytes"].encode())
    for _ in range(2):  # computed, then from the cache
        whole = hashes.model_hash(places, path)
        assert whole == case["sha256"]
        assert whole[: hashes.SHORT] == case.get("autov2_sha256_10", whole[: hashes.SHORT])
        if "lora_shorthash_autov3_12" in case:
            data = hashes.data_hash(places, path)
            assert data[: hashes.LORA_SHORT] == case["lora_shorthash_autov3_12"]
            if not case["metadata"]:
                assert data == case["addnet_hash_after_header"]
    if "old_hash_8" in case:
        assert hashes.old_hash(path) == case["old_hash_8"]


@pytest.mark.parametrize("case", VECTORS["checkpoint_match"], ids=lambda case: case["search"])
def test_which_checkpoint_a_name_means(case: dict[str, Any]) -> None:
    titles = VECTORS["checkpoint_titles"]
    assert set(case) == {"search", "expected"}
    assert match_title(case["search"], titles, compat="a1111") == case["expected"]
    if not deviations(RULES, (case["search"], titles)):
        assert match_title(case["search"], titles) == case["expected"]


def test_capitals_do_not_matter_where_nothing_else_fits() -> None:
    assert match_title("dosmix", ["b.ckpt", "DosMix.safetensors"]) == "DosMix.safetensors"
    assert match_title("", ["b.ckpt"]) is None


def test_a_lora_whose_metadata_is_edited_keeps_its_hash(home: Path) -> None:
    from bench import make_model

    places = find_places(home)
    first = make_model.lora(home / "a.safetensors", "sd15", tiny=True)
    second = make_model.lora(home / "b.safetensors", "sd15", tiny=True, metadata={"note": "x"})
    assert hashes.model_hash(places, first) != hashes.model_hash(places, second)
    assert hashes.data_hash(places, first) == hashes.data_hash(places, second)


def test_a_changed_file_is_hashed_again(home: Path) -> None:
    places = find_places(home)
    path = home / "a.ckpt"
    path.write_bytes(b"abc")
    before = hashes.model_hash(places, path)
    path.write_bytes(b"abd!")
    assert hashes.model_hash(places, path) != before
