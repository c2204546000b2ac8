"""The index of pictures: made, searched, broken, made again from the files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdtui.backend.protocol import SavedImage
from sdtui.library.gallery import Gallery, GalleryWriter
from sdtui.library.places import Places, find_places
from tests.vectors_path import DEFAULT


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
        ("CAFÉ", "3"),
        ("cafe", "3"),
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


def _damage(database: Path, kind: str) -> None:
    """Break the closed index."""
    content = database.read_bytes()
    if kind == "missing":
        database.unlink()
    elif kind == "garbage":
        database.write_bytes(b"garbage" * 5000)
    elif kind == "empty":
        database.write_bytes(b"")
    elif kind == "cut off":
        database.write_bytes(content[: len(content) // 2])
    elif kind == "pages":
        database.write_bytes(content[:4096] + b"\xa5" * 12288 + content[16384:])
    elif kind == "wal":
        database.with_name("library.db-wal").write_bytes(b"garbage" * 5000)
    else:
        statement = {
            "schema": "PRAGMA user_version = 77",
            "table": "DROP TABLE picture",
            "words": "DROP TABLE words",
        }[kind]
        db = sqlite3.connect(database)
        db.execute(statement)
        db.close()


@pytest.mark.parametrize(
    "damage",
    ["missing", "garbage", "empty", "cut off", "pages", "schema", "table", "words", "wal"],
)
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
    _damage(places.library_db, damage)
    writer = GalleryWriter(places)
    lost = 3 - len(Gallery(places).latest())
    assert lost == (0 if damage == "wal" else 3)
    assert writer.rebuild() == lost
    assert writer.rebuild() == 0
    found = Gallery(places).search("cat")
    width = 16 if lost else 8  # the files are wider than what the index was told
    assert sorted((item.seed, item.width, item.height) for item in found) == [
        (0, width, 8), (1, width, 8), (2, width, 8),
    ]  # fmt: skip
    writer.close()


def test_words_that_do_not_agree_with_the_prompts_are_made_again(
    places: Places, writer: GalleryWriter
) -> None:
    writer.add(saved(places, "a.png", "a cat"), job=1, created_s=1.0)
    db = sqlite3.connect(places.library_db)
    db.execute("INSERT INTO words (words) VALUES ('delete-all')")
    db.commit()
    db.close()
    gallery = Gallery(places)
    assert gallery.search("cat") == []
    writer.rebuild()
    assert prompts(gallery.search("cat")) == ["a cat"]


def test_a_damage_found_while_reading_is_no_crash(places: Places, writer: GalleryWriter) -> None:
    writer.add(saved(places, "a.png", "a cat"), job=1, created_s=1.0)
    writer.close()
    _damage(places.library_db, "pages")
    assert Gallery(places).search("cat") == Gallery(places).latest() == []


def test_hostile_files_are_left_out_or_tamed_and_hide_nothing(
    places: Places, writer: GalleryWriter
) -> None:
    from PIL import Image, PngImagePlugin

    def put(name: str, **texts: str) -> None:
        info = PngImagePlugin.PngInfo()
        for key, text in texts.items():
            info.add_text(key, text)
        Image.new("RGB", (8, 8)).save(places.outputs / name, pnginfo=info)

    put("0.png", parameters=f"big cat\nSteps: 1, Size: 8x8, Seed: {10**30}")
    put("1.png", parameters="odd cat\nSteps: 1, Size: 8x8, Seed: ²")
    told = '{"uc": "\\ud83d", "steps": 1, "sampler": "ddim", "scale": 1, "seed": 3}'
    put("2.png", Software="NovelAI", Description="half a cat", Comment=told)
    put("9.png", parameters="last cat\nSteps: 1, Size: 8x8, Seed: 4")
    shutil.copy(places.outputs / "9.png", places.outputs / os.fsdecode(b"3\xff.png"))
    os.mkfifo(places.outputs / "4.png")
    (places.outputs / "5.png").symlink_to("/dev/zero")
    (places.outputs / "6.png").symlink_to("6.png")
    assert writer.rebuild() == 4
    found = {picture.prompt: picture.seed for picture in Gallery(places).search("cat")}
    assert found == {"big cat": 0, "odd cat": 0, "half a cat": 3, "last cat": 4}


def test_pictures_put_into_the_folder_by_hand_are_found(
    places: Places, writer: GalleryWriter
) -> None:
    written = DEFAULT / "images" / "written_by_a1111_code"
    shutil.copytree(written, places.outputs / "from a1111")
    (places.outputs / ".tmp-half.png").write_bytes(b"")
    count = len([path for path in written.iterdir() if path.suffix in (".png", ".jpg", ".webp")])
    assert writer.rebuild() == count
    found = {Path(picture.path).name for picture in Gallery(places).search("café")}
    assert found == {"latin1_accents.png", "latin1_accents.jpg", "latin1_accents.webp"}
    assert {picture.seed for picture in Gallery(places).search("猫")} == {1}
    shutil.rmtree(places.outputs / "from a1111")
    assert writer.rebuild() == 0
    assert Gallery(places).latest() == []


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
