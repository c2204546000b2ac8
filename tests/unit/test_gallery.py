"""The index of pictures: made, searched, broken, made again from the files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdtui.backend.protocol import SavedImage
from sdtui.library.gallery import Gallery, GalleryWriter
from sdtui.library.places import Places, find_places


@pytest.fixture
def places(home: Path) -> Places:
    return find_places(home).prepare()


@pytest.fixture
def writer(places: Places) -> Iterator[GalleryWriter]:
    writer = GalleryWriter(places)
    yield writer
    writer.close()


def saved(places: Places, name: str, prompt: str, seed: int = 1) -> SavedImage:
    path = places.outputs / name
    path.touch()
    infotext = (
        f"{prompt}\nNegative prompt: blurry\nSteps: 20, Sampler: Euler, Seed: {seed}, Size: 8x8"
    )
    return SavedImage(path=str(path), seed=seed, width=8, height=8, infotext=infotext)


def prompts(found: list) -> list[str]:
    return [picture.prompt for picture in found]


def test_no_index_means_no_pictures(places: Places) -> None:
    assert Gallery(places).latest() == Gallery(places).search("cat") == []


def test_the_latest_first_and_those_whose_file_is_gone_left_out(
    places: Places, writer: GalleryWriter
) -> None:
    for number in range(5):
        image = saved(places, f"{number}.png", f"number {number}", seed=number)
        writer.add(image, job=number, created_s=float(number))
    gallery = Gallery(places)
    Path(gallery.latest(1)[0].path).unlink()
    found = gallery.latest(3)
    assert prompts(found) == ["number 3", "number 2", "number 1"]
    assert (found[0].job, found[0].seed, found[0].created_s) == (3, 3, 3.0)
    assert "Steps: 20" in found[0].infotext


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("cat", "120"),
        ("CAT red", "20"),
        ("ca", "1203"),
        ("at", ""),
        ("blurry", ""),  # the negative prompt is not what the picture shows
        ('"cat" OR NOT (', "210"[:0]),
        ("red-haired", "2"),
        ("<lora:foo:0.8>", "1"),
        ("猫", "3"),
        ("100%", "3"),
        ("é_", ""),
        ("café", "3"),
        ("  ( ) ", "3210"),
        ("", "3210"),
    ],
)
def test_search(places: Places, writer: GalleryWriter, text: str, numbers: str) -> None:
    told = ["a red cat", "cats, <lora:foo:0.8>", "red-haired cat", "二匹の猫, 100%, Café café"]
    for number, prompt in enumerate(told):
        writer.add(saved(places, f"{number}.png", prompt), job=None, created_s=float(number))
    found = [Path(picture.path).stem for picture in Gallery(places).search(text)]
    assert sorted(found) == sorted(numbers)
    assert found == sorted(found, reverse=True), "newest first"


def test_a_picture_told_twice_is_there_once(places: Places, writer: GalleryWriter) -> None:
    writer.add(saved(places, "a.png", "old words"), job=1, created_s=1.0)
    writer.add(saved(places, "a.png", "new words"), job=1, created_s=1.0)
    gallery = Gallery(places)
    assert prompts(gallery.latest()) == ["new words"]
    assert gallery.search("old") == []
    assert prompts(gallery.search("new")) == ["new words"]


@pytest.mark.parametrize("damage", ["missing", "garbage", "schema"])
def test_a_damaged_index_is_made_again_from_the_files(places: Places, damage: str) -> None:
    from PIL import Image, PngImagePlugin

    writer = GalleryWriter(places)
    for number in range(3):
        image = saved(places, f"{number}.png", f"a cat {number}", seed=number)
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", image.infotext)
        Image.new("RGB", (16, 8)).save(image.path, pnginfo=info)
        writer.add(image, job=1, created_s=float(number))
    (places.outputs / "not a picture.png").write_bytes(b"no")
    writer.close()
    if damage == "missing":
        places.library_db.unlink()
    elif damage == "garbage":
        places.library_db.write_bytes(b"garbage" * 5000)
    else:
        import sqlite3

        db = sqlite3.connect(places.library_db)
        db.execute("PRAGMA user_version = 77")
        db.close()
    writer = GalleryWriter(places)
    assert Gallery(places).latest() == []
    assert writer.rebuild() == 3
    assert writer.rebuild() == 0
    found = Gallery(places).search("cat")
    assert sorted((item.seed, item.width, item.height) for item in found) == [
        (0, 16, 8), (1, 16, 8), (2, 16, 8),
    ]  # fmt: skip
    writer.close()


def test_reading_while_it_is_written(places: Places, writer: GalleryWriter) -> None:
    counts: list[int] = []

    def read() -> None:
        gallery = Gallery(places)
        while not counts or counts[-1] < 200:
            counts.append(len(gallery.latest(1000)))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(200):
        writer.add(saved(places, f"{number}.png", "x"), job=1, created_s=float(number))
    thread.join(60)
    assert counts == sorted(counts) and counts[-1] == 200
