"""Prompts beyond the recorded cases: what is meant where the original fails, hostile input."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from sdtui.formats import (
    attention,
    chunks,
    clip_bpe,
    comments,
    extra_networks,
    grid_values,
    prompt_schedule,
    token_counter,
)
from sdtui.formats.attention import parse_attention
from sdtui.formats.infotext import format_infotext, parse
from sdtui.formats.infotext_apply import to_values
from sdtui.formats.infotext_fields import from_params
from sdtui.formats.prompt_schedule import compose, schedule
from sdtui.params.generate import GenerateParams


def test_break_works_inside_brackets() -> None:
    prompt = "(cat BREAK dog:1.2)"
    wanted = [("cat", 1.2), ("BREAK", -1.0), ("dog", 1.2)]
    assert parse_attention(prompt) == wanted
    assert parse_attention(prompt, "a1111")[1] == ("BREAK", -1.2)
    assert [rule.name for rule in attention.RULES if rule.applies(prompt)] == [
        "BREAK works inside brackets"
    ]
    for same in ("(cat:1.2) BREAK dog", "a] BREAK (b)", "(BREAKS)", "a:1.2) BREAK b"):
        assert not any(rule.applies(same) for rule in attention.RULES), same
        assert parse_attention(same) == parse_attention(same, "a1111")
    assert any(rule.applies("(a BREAK b") for rule in attention.RULES)


def test_deep_brackets_are_text_beyond_a_depth() -> None:
    deep = attention.MAX_DEPTH
    assert len(parse_attention("(" * deep + "a" + ")" * deep)) == 1
    deeper = parse_attention("(" * (deep + 1) + "a" + ")" * (deep + 1))
    assert [text for text, _ in deeper] == ["(a", ")"]
    assert not any(rule.applies("(a) " * 500) for rule in attention.RULES)
    assert any(rule.applies("(" * (deep + 1)) for rule in attention.RULES)


def test_one_bar_does_not_switch_off_every_schedule() -> None:
    prompt = "a | b, [c:d:5]"
    assert schedule(prompt, 10) == [(5, "a | b, c"), (10, "a | b, d")]
    assert schedule(prompt, 10, compat="a1111") == [(10, prompt)]
    assert schedule("[c:d:5]\\", 10) == [(5, "c\\"), (10, "d\\")]
    assert all(prompt_schedule.RULES[0].applies(text) for text in (prompt, "[c:d:5]\\"))
    assert not prompt_schedule.RULES[0].applies("a | b")


@pytest.mark.parametrize(
    ("prompt", "entries"),
    [
        ("[[a:b:3]:c:6]", [(3, "a"), (6, "b"), (10, "c")]),
        ("[a:b:c:5]", [(10, "[a:b:c:5]")]),
        ("[a:b:1e1]", [(10, "a")]),
        ("[a:b:9999999]", [(10, "a")]),
        ("[a:b:1.0e400]", [(10, "a")]),
        ("[:b:-3]", [(10, "b")]),
        ("[a::0.5] ]", [(5, "a ]"), (10, " ]")]),
    ],
)
def test_schedules(prompt: str, entries: list[tuple[int, str]]) -> None:
    assert schedule(prompt, 10) == entries


def test_nested_alternation() -> None:
    assert [text for _, text in schedule("[a|[b|c]]", 4)] == ["a", "c", "a", "c"]
    assert [text for _, text in schedule("[[a|b]|[c:d:2]]x", 4)] == ["ax", "cx", "ax", "dx"]


def test_a_number_at_the_end_is_a_weight_only_with_and() -> None:
    assert compose("ratio 16:9") == [("ratio 16:9", 1.0)]
    assert compose("ratio 16:9", "a1111") == [("ratio 16", 9.0)]
    assert compose("a :-.5 AND b: +2. ") == [("a", -0.5), (" b", 2.0)]
    assert prompt_schedule.AND_RULES[0].applies("ratio 16:9")
    assert not prompt_schedule.AND_RULES[0].applies("a:1 AND b")


def test_an_embedding_moves_with_the_words_around_it() -> None:
    names = chunks.EmbeddingNames({"emb": 2}, lambda text: [9] if text == "emb" else _ids(text))
    prompt = "a " * 70 + ", emb b c d e f"
    packed = chunks.pack(parse_attention(prompt), _ids, 1, names)
    original = chunks.pack(parse_attention(prompt), _ids, 1, names, compat="a1111")
    assert [slot.name for slot in packed.chunks[1].slots] == ["emb"]
    assert packed.chunks[1].tokens[:2] == [0, 0] and not packed.chunks[0].slots
    assert original.chunks[0].slots and not original.chunks[1].slots
    assert chunks.RULES[0].applies((prompt, _ids, 1, names))
    assert not chunks.RULES[0].applies(("emb, a", _ids, 1, names))


def _ids(text: str) -> list[int]:
    return [{",": 1, "emb": 9}.get(word, 5) for word in text.split()]


@pytest.mark.parametrize(
    ("comma_at", "first"), [(54, 75), (55, 56), (74, 75), (60, 61)]
)  # fmt: skip
def test_a_comma_at_most_twenty_back(comma_at: int, first: int) -> None:
    words = ["a"] * 80
    words[comma_at] = ","
    packed = chunks.pack([(" ".join(words), 1.0)], _ids, 1)
    assert [len(chunk.tokens) for chunk in packed.chunks] == [first, 80 - first]
    assert packed.token_count == 75 + 80 - first


def test_the_end_of_a_chunk_is_padded_as_its_family_wants() -> None:
    chunk = chunks.Chunk([7, 8], [1.0, 2.0])
    ids, weights = chunk.padded(1, 2, 0)
    assert ids[:5] == [1, 7, 8, 2, 0] and set(ids[5:]) == {0}
    assert len(ids) == len(weights) == 77 and weights[:4] == [1.0, 1.0, 2.0, 1.0]
    full = chunks.Chunk([7] * 75, [1.0] * 75).padded(1, 2, 0)[0]
    assert full == [1, *[7] * 75, 2]
    with pytest.raises(ValueError, match="75"):
        chunks.Chunk([7] * 76, [1.0] * 76).padded(1, 2, 0)


def test_comments_leave_no_blanks() -> None:
    assert comments.without_comments("cat # a remark") == "cat"
    assert comments.without_comments("#only") == ""
    assert comments.without_comments("a\n# b\nc") == "a\nc"
    assert comments.without_comments("  no comment ") == "  no comment "
    assert comments.RULES[0].applies("cat # x") and not comments.RULES[0].applies("a\n#b\nc")


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("<lora:foo:abc>", "<lora:foo:abc> needs a number for its weight, not “abc”"),
        ("<lora:foo:>", "<lora:foo:> needs a number for its weight, not nothing"),
        ("<lora:foo:nan>", "needs a number"),
        ("<lora:foo:te=x>", "needs a number"),
        ("<lora:foo:1:1:2.5>", "whole number"),
    ],
)
def test_a_tag_that_cannot_be_meant_is_said(tag: str, said: str) -> None:
    with pytest.raises(extra_networks.TagError, match=said):
        extra_networks.loras(extra_networks.parse(tag)[1])


def test_tags() -> None:
    cleaned, tags = extra_networks.parse("a <LoRA:x=y:0.5> <lyco:z> <hypernet:h:1> b>")
    assert cleaned == "a    b>"
    assert [(one.name, one.te) for one in extra_networks.loras(tags)] == [("x=y", 0.5), ("z", 1.0)]
    assert [tag.text for tag in extra_networks.unknown(tags)] == ["<hypernet:h:1>"]


def test_tokens_are_those_of_the_library() -> None:
    from transformers import CLIPTokenizer

    vocabulary, merges = clip_bpe.shipped_tables()
    theirs = CLIPTokenizer(vocab=dict(vocabulary), merges=list(merges))
    ours, random = clip_bpe.clip(), Random(1)
    ranges = [(32, 126), (32, 126), (0x80, 0x2FFF), (0x3000, 0xD7FF), (0xE000, 0x1FFFF)]
    texts = [
        "BOY’s ħ 一二三 naïve\n\ttab 3.5e10 <|endoftext|> !'s ''ll", "İstanbul ΣΑΣ é",
        "a\u00a0b\u3000c\x1cd", "", "   ",
    ]  # fmt: skip
    for _ in range(400):
        text = "".join(chr(random.randint(*random.choice(ranges))) for _ in range(15))
        # What this Python's tables do not know yet, the library's may.
        texts.append("".join(c for c in text if unicodedata.category(c) != "Cn"))
    for text in texts:
        assert ours(text) == theirs(text, add_special_tokens=False).input_ids, repr(text)


@pytest.mark.parametrize(
    "read",
    [
        lambda text: schedule(text, 20), compose, extra_networks.parse,
        comments.without_comments, clip_bpe.clip(), parse_attention,
    ],
    ids=["schedule", "compose", "tags", "comments", "tokens", "weights"],
)  # fmt: skip
@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000, "[a:" * 30_000, "[a|" * 30_000 + "]" * 30_000, "(" * 60_000 + ")" * 60_000,
        "[" * 30_000 + "a" + ":b:2]" * 30_000, "<a:" * 30_000, "<a:" * 30_000 + ">",
        " " * 90_000 + ":", "a" + " " * 90_000 + "b", "AND " * 30_000, "#" * 90_000, "x" * 90_000,
        "[a:(b:1.1):5] " * 6_000, ":1" * 40_000, "'s" * 40_000, "\\" * 90_001,
    ],
    ids=range(16),
)  # fmt: skip
def test_hostile_prompts_are_read_in_time(read: Callable[[str], object], text: str) -> None:
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 3


def test_ranges_end_where_they_say() -> None:
    assert grid_values.integers("10-1 (-3), 5") == [10, 7, 4, 1, 5]
    assert grid_values.integers("10-1 (-3)", "a1111") == [10, 7, 4]
    assert grid_values.floats("1-2 (+0.5), .25") == [1.0, 1.5, 2.0, 0.25]
    assert grid_values.floats("0.1-0.3 (+0.1)") == pytest.approx([0.1, 0.2, 0.3])
    assert grid_values.floats("0.1-0.3 (+0.1)", "a1111") == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert grid_values.integers("-3--1, 7-7 [1]") == [-3, -2, -1, 7]
    assert [bool(rule.applies("10-1 (-3)")) for rule in grid_values.RULES] == [True]
    assert not grid_values.RULES[0].applies("1-5")
    for text in ("1-2 (+0)", "1-9999999", "x", "1-2 [99999999]", "1-2 (+.0000001)", "9" * 400):
        with pytest.raises(grid_values.GridValueError):
            grid_values.floats(text)
    with pytest.raises(grid_values.GridValueError):
        grid_values.integers("9" * 400)


def test_the_counter_counts_what_is_encoded() -> None:
    bpe = clip_bpe.clip()
    count = token_counter.count
    assert str(count("", bpe)) == "0/75"
    assert str(count("a (red:1.3) cat, [blurry]", bpe)) == "5/75"
    assert str(count("cat <lora:x:1> # a remark", bpe)) == "1/75"
    assert str(count("cat BREAK dog", bpe)) == "76/150"
    assert count("[cat|a black dog] AND fish", bpe).used == 3
    assert count("cat thing", bpe, {"thing": 8}).used == 9
    assert count("cat, " * 60, bpe).chunks == (75, 45)


def test_the_counter_takes_the_checkpoints_own_tokenizer(tmp_path: Path) -> None:
    from sdtui import demo

    own = token_counter.tokenizer_for(demo.model_dir())
    assert own is not clip_bpe.clip() and own.comma != clip_bpe.clip().comma
    assert token_counter.count("1girl, blue hair", own).used > 0
    assert token_counter.tokenizer_for(tmp_path / "some.safetensors") is clip_bpe.clip()
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocab.json").write_text("[]")
    (tmp_path / "tokenizer" / "merges.txt").write_text("a b c")
    with pytest.raises(ValueError, match="holds no tokenizer"):
        token_counter.tokenizer_for(tmp_path)


@pytest.mark.parametrize(
    ("prompt", "version", "rules"),
    [
        ("a cat, [b:c:5]", "v1.10.1", "Current"),
        ("(a BREAK b:1.2)", "v1.10.1", "A1111"),
        ("(a BREAK b:1.2)", "", "Current"),
        ("(a BREAK b:1.2)", "sdtui 0.1.0", "Current"),
        ("a | b, [c:d:5]", "v1.6.0", "A1111"),
        ("ratio 16:9", "v1.9.4", "A1111"),
        ("a [b:c:0.5]", "v1.5.2", "A1111 before 1.6"),
        ("a [b]", "v1.5.2", "Current"),
    ],
)
def test_an_old_picture_brings_its_own_rules(prompt: str, version: str, rules: str) -> None:
    text = f"{prompt}\nSteps: 20, Sampler: Euler, Seed: 1, Size: 64x64"
    values = to_values(parse(text + (f", Version: {version}" if version else ""))).values
    assert values["prompt_rules"] == rules
    params = GenerateParams(**values)
    again = format_infotext(params.prompt, "", from_params(params, 1, version="sdtui 0.1.0"))
    assert ("Prompt rules" in again) == (rules != "Current")
    assert to_values(parse(again)).values["prompt_rules"] == rules


def test_old_timelines_by_the_option_of_newer_versions() -> None:
    text = "[a:b:1.5]\nSteps: 20, Sampler: Euler, Seed: 1, Old prompt editing timelines: True"
    imported = to_values(parse(text))
    assert imported.values["prompt_rules"] == "A1111 before 1.6"
    assert imported.warnings == []
