"""Names and places of pictures: patterns as people write them, hostile ones, two savers at once."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from sdtui.backend import describe
from sdtui.formats.filenames import WORDS, Facts, expand, place
from sdtui.library.outputs import save_picture
from sdtui.library.places import Places, find_places
from sdtui.params.generate import MAX_SEED, GenerateParams

FACTS = Facts(
    seed=7, now=datetime(2024, 5, 6, 7, 8, 9), prompt="a cat, (red hat:1.2)", model_name="my/model",
    model_hash="0123456789",
)  # fmt: skip


@pytest.fixture
def places(home: Path) -> Places:
    return find_places(home).prepare()


def save(places: Places, folder: str, name: str, facts: Facts = FACTS) -> str:
    """The path below the output folder."""
    path = save_picture(places, b"picture", folder, name, facts)
    assert path.read_bytes() == b"picture"
    return str(path.relative_to(places.outputs))


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("[date]", "[seed]", "2024-05-06/00000-7.png"),
        ("", "[none]", "00000.png"),
        ("", "", "00000.png"),
        ("[model_name]", "[prompt_words]", "my_model/00000-a cat red hat 1 2.png"),
        ("a/[datetime<%Y/%m>]", "b/[seed]", "a/2024_05/b/00000-7.png"),
        ("", "[unknown]-[seed]", "00000-[unknown]-7.png"),
        ("", "[generation_number]-[seed]", "00000--7.png"),
        ("", "[datetime<%q%>]", None),
        ("", "[datetime<%H><Nowhere/City>]", "00000-07.png"),
        ("", "[datetime<%H><../../etc/passwd>]", "00000-07.png"),
        ("..", "[seed]", "00000-7.png"),
        ("../../etc", "../x", "etc/00000-x.png"),
        ("/etc", "[seed]", "etc/00000-7.png"),
        ("a\\..\\b", "[seed]", "a/b/00000-7.png"),
        ("./ . /...", ".", "00000.png"),
        ("\x1b[2J\x00", "\u202eevil", "_[2J_/00000-_evil.png"),
        ("猫" * 200, "猫" * 200, f"{'猫' * 78}/00000-{'猫' * 78}.png"),
        ("", "[prompt]" * 20, None),
    ],
)
def test_places(places: Places, folder: str, name: str, expected: str | None) -> None:
    saved = save(places, folder, name)
    assert (places.outputs / saved).is_file()
    if expected is not None:
        assert saved == f"txt2img/{expected}"


@pytest.mark.parametrize("word", WORDS)
def test_no_word_leads_out_of_its_folder(places: Places, word: str) -> None:
    hostile = "../" * 3 + "\x00\n/etc\ud800"
    facts = replace(FACTS, prompt=hostile, model_name=hostile, model_hash="..", pixels=lambda: b"x")
    for pattern in (f"[{word}]", f"[{word}<{hostile}>]", f"[{word}<9><9><9>]", f"[{word.upper()}]"):
        saved = places.outputs / save(places, pattern, pattern, facts)
        assert saved.resolve().is_relative_to((places.outputs / "txt2img").resolve())
        assert not re.search(r"[\x00-\x1f]", str(saved))


def test_a_word_of_the_prompt_takes_at_most_128_characters() -> None:
    assert len(expand("[prompt]", replace(FACTS, prompt="x" * 500))) == 128


def test_the_counter_goes_on_and_nothing_is_written_over(places: Places) -> None:
    folder = places.outputs / "txt2img"
    assert save(places, "", "[seed]") == "txt2img/00000-7.png"
    assert save(places, "", "[seed]") == "txt2img/00001-7.png"
    (folder / "00009-1.jpg").touch()
    (folder / "2253955223.png").touch()  # a seed, no counter
    assert save(places, "", "") == "txt2img/00010.png"
    assert (folder / "00000-7.png").read_bytes() == b"picture"


def test_many_savers_at_once_all_keep_their_pictures(places: Places) -> None:
    saved: list[Path] = []

    def work(number: int) -> None:
        for _ in range(20):
            saved.append(save_picture(places, str(number).encode(), "", "[seed]", FACTS))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(saved)) == 80
    contents = sorted(path.read_bytes() for path in saved)
    assert contents == sorted(str(number).encode() for number in range(4) for _ in range(20))
    assert len(list((places.outputs / "txt2img").iterdir())) == 80, "nothing else is left behind"


def test_what_stands_in_the_way_is_an_error_and_stays(places: Places) -> None:
    (places.outputs / "txt2img").mkdir()
    (places.outputs / "txt2img" / "cat").write_text("mine")
    with pytest.raises(OSError):
        save_picture(places, b"x", "cat", "[seed]", FACTS)
    assert (places.outputs / "txt2img" / "cat").read_text() == "mine"


def test_the_facts_of_a_picture_in_a_job() -> None:
    params = GenerateParams(prompt="cat", seed=MAX_SEED - 1, batch_size=2, batch_count=3, steps=9)
    image = Image.new("RGB", (64, 96))
    facts = describe.facts(params, ("demo", None), 0, 3, image)
    pattern = "[seed_first]-[seed_last]-[batch_number]-[generation_number]-[width]x[height]-[steps]"
    assert expand(pattern, facts) == f"{MAX_SEED - 1}-3-2-4-64x96-9"
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    assert expand("[image_hash]", facts) == digest
    assert expand("[model_name]-[model_hash]x", facts) == "demo-x"
    assert facts.now.tzinfo is not None


def test_place_is_relative() -> None:
    folder, name = place("/a//b/", "/c/d", FACTS)
    assert (str(folder), name) == ("a/b/c", "d")
