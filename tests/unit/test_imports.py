"""An infotext on a machine with other models than the one that wrote it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from sdtui.library.hashes import model_hash
from sdtui.library.imports import read_infotext
from sdtui.library.places import Places, find_places


def model(places: Places, name: str, content: bytes) -> str:
    """A file that the catalog lists; the first ten digits of its hash."""
    folder = places.models / "checkpoints"
    folder.mkdir(exist_ok=True)
    header = json.dumps({"x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    path = folder / f"{name}.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + content)
    return model_hash(places, path)[:10]


@pytest.fixture
def places(home: Path) -> Places:
    return find_places(home).prepare()


def read(places: Places, pairs: str) -> tuple[object, dict[str, str]]:
    """(the checkpoint that is set, what is said)."""
    imported = read_infotext(places, f"cat\nSteps: 20, Seed: 5, Size: 512x512, {pairs}")
    assert imported.values["steps"] == 20
    said = {one.key: one.why for one in imported.ignored if one.matters}
    return imported.values.get("checkpoint"), said


def test_by_name_and_by_hash(places: Places) -> None:
    first, second = model(places, "DosMix", b"1"), model(places, "other", b"2")
    assert read(places, "Model: DosMix") == ("DosMix", {})
    assert read(places, f"Model: DosMix, Model hash: {first}") == ("DosMix", {})
    assert read(places, f"Model: renamed, Model hash: {second}") == ("other", {})
    assert read(places, f"Model hash: {second.upper()}") == ("other", {})
    assert read(places, "Model: DosMix.safetensors") == ("DosMix", {})
    assert read(places, "Model: DosMix [9bd5c6ee0a]") == ("DosMix", {})
    assert read(places, "Model: DosMix, Model hash: 45dee52b") == ("DosMix", {})  # of 2022


def test_another_version_is_told(places: Places) -> None:
    here = model(places, "DosMix", b"1")
    checkpoint, said = read(places, "Model: DosMix, Model hash: 0123456789")
    assert checkpoint == "DosMix" and here in said["Model hash"]


def test_part_of_a_name_takes_the_shortest_and_says_so(places: Places) -> None:
    for name in ("anything-v3-pruned", "anything-v3"):
        model(places, name, b"1")
    checkpoint, said = read(places, "Model: Anything-V3")
    assert checkpoint == "anything-v3"
    assert said == {"Model": "taken for the checkpoint “anything-v3”"}


def test_what_is_not_here_stays_and_the_nearest_is_named(places: Places) -> None:
    model(places, "perfectWorld_v2", b"1")
    checkpoint, said = read(places, "Model: perfektWorld_v3, Model hash: 79e42fb744")
    assert checkpoint is None
    assert said == {"Model": "there is no such checkpoint here; the nearest is “perfectWorld_v2”"}
    assert read(places, "Model hash: 79e42fb744")[1] == {
        "Model": "there is no such checkpoint here"
    }


def test_without_a_model_nothing_is_said(places: Places) -> None:
    assert read(places, "CFG scale: 7") == (None, {})
    assert read_infotext(places, "just a prompt").values == {"prompt": "just a prompt"}


def test_our_own_demo_picture(places: Places) -> None:
    assert read(places, "Model: demo, Model hash: 0123456789") == ("demo", {})
