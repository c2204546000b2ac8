"""Settings read out of real pictures, against what A1111 (and Forge) read out of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sdtui.formats import infotext
from sdtui.formats.compat import deviations
from sdtui.formats.image_info import OF_THE_FILE, RULES, ImageInfoError, chosen, look
from tests.vectors_path import load, picture_file

pytestmark = pytest.mark.vectors
CASES = load("generation/image_info.json")["cases"]
MANIFEST = picture_file("written_by_a1111_code/manifest.json")
assert MANIFEST is not None
WRITTEN = json.loads(MANIFEST.read_text(encoding="utf-8"))
ABOUT = {"file", "repo", "path", "blob", "note", "mode"}
"""Where a picture came from, and how its pixels are stored, which we do not read."""
CUT = 200
"""Characters after which the file cuts other texts."""


def _picture(case: dict[str, Any]) -> Path:
    path = picture_file(case["file"])
    if path is None:
        pytest.skip(f"{case['file']} is a test file of another project and not in this repository")
    return path


def test_the_fields_are_all_compared() -> None:
    compared = {
        "bytes", "format", "size", "a1111_read_lazy", "a1111_items", "read_after_full_load",
        "parsed", "error", "forge_stealth_read",
    }  # fmt: skip
    assert {key for case in CASES for key in case} <= ABOUT | compared


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_read(case: dict[str, Any]) -> None:
    path = _picture(case)
    assert path.stat().st_size == case.get("bytes", path.stat().st_size)
    if "error" in case:
        with pytest.raises(ImageInfoError):
            look(path)
        return
    stored = look(path)
    original, ours = chosen(stored, "a1111"), chosen(stored)
    if "format" in case:
        assert (ours.format, [ours.width, ours.height]) == (case["format"], case["size"])
    if "a1111_read_lazy" in case:
        assert original.infotext == (case["a1111_read_lazy"] or "")
        items = {k: v for k, v in case["a1111_items"].items() if k not in OF_THE_FILE}
        assert {k: v[:CUT] for k, v in original.other.items()} == items
        if not deviations(RULES, stored):
            assert ours == original
    if "read_after_full_load" in case:
        assert ours.infotext == case["read_after_full_load"]
    if "forge_stealth_read" in case:
        assert ours.infotext == stored.stealth == case["forge_stealth_read"]


PARSED = [case for case in CASES if "parsed" in case]


@pytest.mark.parametrize("case", PARSED, ids=lambda case: case["file"])
def test_the_text_is_understood(case: dict[str, Any]) -> None:
    text = case["a1111_read_lazy"] or case["read_after_full_load"]
    assert infotext.parse(text, "a1111").filled() == case["parsed"]


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case["file"])
def test_read_what_a1111_wrote(case: dict[str, Any]) -> None:
    path = _picture(case)
    stored = look(path)
    assert path.stat().st_size == case.get("size", path.stat().st_size)
    read = chosen(stored)
    if not stored.stealth:
        assert read == chosen(stored, "a1111")
    if case["file"].startswith("written_by_a1111_code/long"):
        length, _, start = case["written"].partition(" chars, starts ")
        assert (len(read.infotext), read.infotext[: len(start) - 2]) == (int(length), start[1:-1])
    elif "written" in case:
        assert read.infotext == case["written"]
    if "read" in case:
        text, other = case["read"]
        assert (read.infotext or None, dict(read.other)) == (text, other)
    if "read_items" in case:
        assert dict(read.other) == case["read_items"]
        assert infotext.parse(read.infotext).params["Steps"] == "20"
