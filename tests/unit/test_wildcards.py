"""Prompts with choices: the grammar, the files, and texts that never end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from sdtui.formats import prompt_file, prompt_lists
from sdtui.formats.wildcards import MAX_PROMPTS, WildcardError, every, expand, has_choices
from sdtui.library.places import find_places
from sdtui.library.wildcards import Wildcards

LINES = {
    "color": ["red", "blue", "3::green"],
    "nested": ["{a|b} __color__"],
    "self": ["x __self__"],
    "one": ["__two__ __two__"], "two": ["__three__ __three__"], "three": ["__four__ " * 90],
    "four": ["{a|b} " * 60],
}  # fmt: skip


def lookup(name: str) -> Sequence[str]:
    if name not in LINES:
        raise WildcardError(f"there is no {name}")
    return LINES[name]


@pytest.mark.parametrize(
    ("prompt", "all_of_them"),
    [
        ("a {red|blue} hat", ["a red hat", "a blue hat"]),
        ("{a|b} {c|d}", ["a c", "a d", "b c", "b d"]),
        ("{{a|b}|c}", ["a", "b", "c"]),
        ("{a|}", ["a", ""]),
        ("{2$$a|b|c}", ["a, b", "a, c", "b, a", "b, c", "c, a", "c, b"]),
        ("{2$$ and $$a|b}", ["a and b", "b and a"]),
        ("{1-2$$/$$a|b}", ["a", "b", "a/b", "b/a"]),
        ("{-2$$a|b}", ["a", "b", "a, b", "b, a"]),
        ("{0-1$$a|b}", ["", "a", "b"]),
        ("{2-$$a|b|c}", [", ".join(x) for x in ("ab", "ac", "ba", "bc", "ca", "cb")]
         + [", ".join(x) for x in ("abc", "acb", "bac", "bca", "cab", "cba")]),
        ("{9$$a|b}", ["a, b", "b, a"]),
        ("__color__!", ["red!", "blue!", "green!"]),
        ("{__color__}", ["red", "blue", "green"]),
        ("{2$$__color__}", ["red, blue", "red, green", "blue, red", "blue, green", "green, red",
                            "green, blue"]),
        ("__nested__", ["a red", "a blue", "a green", "b red", "b blue", "b green"]),
        ("${c=!{a|b}}${c} ${c}", ["a a", "b b"]),
        ("${c={a|b}}${c} ${c}", ["a a", "a b", "b a", "b b"]),
        ("${c:z}", ["z"]),
        ("{[a|b]|c}", ["[a|b]", "c"]),
        ("{a [|b}", ["a [", "b"]),
        ("{0.5::a|2::b}", ["a", "b"]),
    ],
)  # fmt: skip
def test_every_prompt(prompt: str, all_of_them: list[str]) -> None:
    assert has_choices(prompt)
    assert every(prompt, lookup) == all_of_them
    drawn = {expand(prompt, lookup, Random(seed)) for seed in range(200)}
    assert drawn == set(all_of_them)


@pytest.mark.parametrize(
    "prompt",
    [
        "[a|b] (c:1.2) <lora:x:0.8> [d:e:0.5]", "a | b", "{a", "a}", "{{masterpiece}}", "100%",
        "a $ b $$ c", r"\{a|b\}", "____", "a_b", "x::y", "", "${q w}", "{a, b}",
    ],
)  # fmt: skip
def test_other_prompts_stay_as_they_are(prompt: str) -> None:
    assert not has_choices(prompt)
    assert expand(prompt, lookup, Random(1)) == prompt
    assert every(prompt, lookup) == [prompt]


def test_weights_and_seeds() -> None:
    drawn = Counter(expand("{3::a|b}", lookup, Random(seed)) for seed in range(2000))
    assert 0.7 < drawn["a"] / 2000 < 0.8
    drawn = Counter(expand("__color__", lookup, Random(seed)) for seed in range(2000))
    assert 0.55 < drawn["green"] / 2000 < 0.65
    assert len({expand("{0::a|0::b}", lookup, Random(seed)) for seed in range(50)}) == 2
    long = "{a|b|c|d} " * 10
    assert expand(long, lookup, Random(7)) == expand(long, lookup, Random(7))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("__nowhere__", "there is no nowhere"),
        ("__self__", "“__self__” leads back to itself"),
        ("${q}", r"\$\{q\} has no value"),
        ("${a=${a}}${a}", "leads back to itself"),
        ("__one__", "more than"),
        ("{a|b}" * 40, None),
        ("{9$$" + "|".join("abcdefghij") + "}", None),
        ("{a|" * 60 + "b" + "}" * 60, "deep"),
    ],
)  # fmt: skip
def test_choices_that_cannot_be_made(prompt: str, said: str | None) -> None:
    if said:
        with pytest.raises(WildcardError, match=said):
            expand(prompt, lookup, Random(1))
    else:
        expand(prompt, lookup, Random(1))
        with pytest.raises(WildcardError, match=f"more than {MAX_PROMPTS}"):
            every(prompt, lookup)


@pytest.mark.parametrize(
    "text",
    [
        "{" * 60_000, "{a|" * 30_000 + "}" * 30_000, "${a=!x}" * 20_000, "{[" * 20_000 + "}" * 9,
        "__a" * 30_000, "$$" * 40_000, "{1$$" * 20_000, "{" * 39 + "a|b" + "}" * 39, "\\" * 90_001,
    ],
    ids=range(9),
)  # fmt: skip
def test_hostile_prompts_are_read_in_time(text: str) -> None:
    start = time.process_time()
    for read in (lambda: expand(text, lookup, Random(1)), lambda: every(text, lookup)):
        try:
            read()
        except WildcardError as error:
            assert len(str(error)) < 200
    assert time.process_time() - start < 4


@pytest.fixture
def folder(home: Path) -> Path:
    folder = home / "wildcards"
    (folder / "clothes").mkdir(parents=True)
    (folder / "color.txt").write_text("red\n\n# a remark\nblue # another\n")
    (folder / "clothes" / "hats.txt").write_text("cap\n")
    (folder / "clothes" / "shoes.txt").write_bytes("bottes à talons\n".encode("utf-16"))
    (folder / "fashion.yaml").write_text("fashion:\n  coat: [long, {no: 1}, short]\n  one: x\n")
    (folder / "flat.json").write_text('["a", 1, null]')
    return folder


def test_files(home: Path, folder: Path) -> None:
    known = Wildcards(find_places(home))
    assert known.names == [
        "clothes/hats", "clothes/shoes", "color", "fashion/fashion/coat", "fashion/fashion/one",
        "flat",
    ]  # fmt: skip
    assert known.lines("color") == ["red", "blue"]
    assert known.lines("clothes/*") == ["cap", "bottes à talons"]
    assert known.lines("fashion/coat") == known.lines("fashion/fashion/coat") == ["long", "short"]
    assert known.lines("flat") == ["a", "1"]
    assert every("__clothes/hats__ __fashion/coat__", known.lines) == ["cap long", "cap short"]


def test_files_that_are_not_there_or_broken(home: Path, folder: Path) -> None:
    known = Wildcards(find_places(home))
    with pytest.raises(WildcardError, match="no wildcard __colour__; did you mean __color__"):
        known.lines("colour")
    with pytest.raises(WildcardError, match=r"no wildcard __q__; put q\.txt into"):
        Wildcards(find_places(home / "empty")).lines("q")
    (folder / "fashion.yaml").write_text("a: &x [b]\nc: *x\n")
    with pytest.raises(WildcardError, match=r"fashion\.yaml.*aliases"):
        Wildcards(find_places(home)).lines("fashion/a")


def test_prompt_lists() -> None:
    assert prompt_lists.lines(" a \n\n b\n") == ["a", "b"]
    assert prompt_lists.matrix("a|[b|c]") == ["a", "a, [b|c]"]
    assert prompt_lists.matrix("a]|[b|c") == ["a]", "a], [b", "a], c", "a], [b, c"]
    assert prompt_lists.easy_diffusion("{a,b} {x} | c") == [
        "a {x}",
        "a {x}, c",
        "b {x}",
        "b {x}, c",
    ]
    for many in ("a" + "|b" * 20, "{a,b}" * 20):
        with pytest.raises(prompt_lists.TooMany):
            (prompt_lists.matrix if "|" in many else prompt_lists.easy_diffusion)(many)


def test_prompt_files() -> None:
    text = '\na cat -- on a mat\n--prompt a dog --sampler_name "DPM++ 2M Karras" --tiling true\n'
    plain, options = prompt_file.read(text)
    assert plain.values == {"prompt": "a cat -- on a mat"}
    assert options.values == {"prompt": "a dog", "sampler": "DPM++ 2M", "schedule": "Karras"}
    assert options.ignored == ("tiling",)
    assert prompt_file.read_line("--sampler_index 6").values["sampler"] == "Euler a"
    for line, said in (
        ("--steps many", "--steps needs a number"), ("--steps", "has no value"),
        ('--prompt "a', "quote"), ("--sampler_index 99", "from 0"),
    ):  # fmt: skip
        with pytest.raises(prompt_file.LineError, match=f"prompt 1: .*{said}"):
            prompt_file.read(line)
