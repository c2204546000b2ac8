"""A picture of the demo model on the disk: its name, its place, its text, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

from sdtui.library.hashes import known_hash
from sdtui.library.places import find_places
from sdtui.params.generate import GenerateParams
from tests.program import SMALL, Program, one_sentence

PROMPT = "# not a blue one\na red circle\n(on white:1.2)"
SETTINGS = (
    "--set", "seed=11", "--set", "sampler=Euler a", "--set", "schedule=Beta", "--set",
    "cfg_scale=5.5", "--set", "clip_skip=2", "--negative", "blue",
)  # fmt: skip
PATTERNS = ("--set", "folder_pattern=../../[model_name]", "--set",
            "filename_pattern=[seed]-[prompt_words]-[model_hash]")  # fmt: skip


def test_from_a_prompt_to_a_file_and_back_to_the_settings(program: Program) -> None:
    words = ("generate", PROMPT, *SMALL, *SETTINGS, *PATTERNS, "-n", "2")
    images = program.json(*words)["images"]
    places = find_places(program.home)
    digest = next(iter(json.loads(places.hash_cache.read_text()).values()))[2]
    folder = places.outputs / "txt2img" / "demo"
    assert [Path(image["path"]) for image in images] == [
        folder / f"0000{number}-{11 + number}-a red circle on white 1 2-{digest[:10]}.png"
        for number in range(2)
    ]
    assert not (program.home.parent / "demo").exists()

    before = Path(images[0]["path"]).read_bytes()
    told = program.json("info", images[0]["path"])
    assert told["infotext"] == images[0]["infotext"]
    assert told["settings"]["Model hash"] == digest[:10]
    assert [one for one in told["ignored"] if one["matters"]] == []
    read = GenerateParams(**told["values"])
    assert read.prompt == "a red circle\n(on white:1.2)", "the comment is gone"
    assert (read.negative_prompt, read.seed, read.steps) == ("blue", 11, 4)
    assert (read.sampler, read.schedule, read.cfg_scale) == ("Euler a", "Beta", 5.5)
    assert (read.width, read.height, read.clip_skip, read.checkpoint) == (64, 64, 2, "demo")

    # Made again from what the picture says: the same pixels, in a file of its own.
    values = [f"--set={name}={value}" for name, value in told["values"].items() if name not in
              ("prompt", "negative_prompt")]  # fmt: skip
    words = ("generate", read.prompt, "--negative", read.negative_prompt, *values, *PATTERNS)
    again = program.json(*words)["images"][0]
    assert Path(again["path"]).name.startswith("00002-11-")
    assert Path(again["path"]).read_bytes() == before == Path(images[0]["path"]).read_bytes()
    assert known_hash(places, Path(next(iter(json.loads(places.hash_cache.read_text())))))


def test_info_of_what_is_no_picture(program: Program) -> None:
    said = one_sentence(program("info", __file__), 2)
    assert "is not a picture" in said
