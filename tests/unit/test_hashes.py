"""Hashes of model files: right, computed once, again when the file changes."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from sdtui.library import hashes
from sdtui.library.hashes import Hashing, known_hash, model_hash
from sdtui.library.places import Places, find_places

CONTENT = b"weights" * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def places(home: Path) -> Places:
    return find_places(home).prepare()


@pytest.fixture
def model(places: Places) -> Path:
    path = places.models / "my model.safetensors"
    path.write_bytes(CONTENT)
    return path


def test_computed_once(places: Places, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert known_hash(places, model) is None
    assert model_hash(places, model) == SHA == known_hash(places, model)
    monkeypatch.setattr(hashes.hashlib, "file_digest", None)  # whoever calls it now fails
    assert model_hash(places, model) == SHA
    assert Hashing(places, model).short() == SHA[:10]


def test_again_when_the_file_changes(places: Places, model: Path) -> None:
    model_hash(places, model)
    model.write_bytes(CONTENT[::-1])
    os.utime(model, ns=(0, 0))
    assert known_hash(places, model) is None
    assert model_hash(places, model) == hashlib.sha256(CONTENT[::-1]).hexdigest()


def test_in_the_background(places: Places, model: Path) -> None:
    assert Hashing(places, model).short() == SHA[:10]
    assert known_hash(places, model) == SHA
    assert Hashing(places, places.models / "gone").short() is None


def test_nobody_in_a_hurry_waits_for_a_slow_disk(
    places: Places, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    digest = hashlib.file_digest

    def slowly(*given: object) -> object:
        assert disk.wait(60)
        return digest(*given)

    monkeypatch.setattr(hashes.hashlib, "file_digest", slowly)
    hashing = Hashing(places, model)
    assert hashing.short(lambda: True) is None
    disk.set()
    assert hashing.short() == SHA[:10]


def test_a_folder_is_known_by_its_unet(places: Places) -> None:
    unet = places.models / "folder" / "unet"
    unet.mkdir(parents=True)
    (unet / "diffusion_pytorch_model.safetensors").write_bytes(CONTENT)
    assert model_hash(places, unet.parent) == SHA


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"x": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_cache_is_begun_again(places: Places, model: Path, damage: bytes) -> None:
    places.cache.mkdir(exist_ok=True)
    places.hash_cache.write_bytes(damage)
    assert known_hash(places, model) is None
    assert model_hash(places, model) == SHA == known_hash(places, model)


def test_files_that_are_gone_are_forgotten(places: Places, model: Path) -> None:
    model_hash(places, model)
    other = model.with_name("other.safetensors")
    other.write_bytes(b"x")
    model.unlink()
    model_hash(places, other)
    assert str(model) not in places.hash_cache.read_text()
