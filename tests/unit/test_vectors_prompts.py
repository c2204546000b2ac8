"""Prompts cut into chunks, scheduled and expanded, against A1111's own functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sdtui.diffusion.text import emphasise
from sdtui.formats import (
    chunks,
    clip_bpe,
    comments,
    extra_networks,
    grid_values,
    prompt_file,
    prompt_lists,
    prompt_schedule,
)
from sdtui.formats.attention import RULES as ATTENTION_RULES
from sdtui.formats.attention import parse_attention
from sdtui.formats.compat import deviations
from tests.vectors_path import load

pytestmark = pytest.mark.vectors
CHUNKS = load("generation/prompt_chunks.json")
EMBEDDINGS = {
    "easynegative": 8, "bad-hands-5": 2, "EasyNegativeV2": 16, "ng_deepnegative_v1_75t": 75,
    "easy": 1,
}  # fmt: skip
"""What the recorded originals had: the file's `source` line names them."""


def _note(case: dict[str, Any]) -> str:
    return str(case["note"]).replace(" ", "_")


def _packed(case: dict[str, Any], compat: Any) -> dict[str, Any]:
    bpe, ids = clip_bpe.clip(), CHUNKS["ids"]
    names = chunks.EmbeddingNames(EMBEDDINGS, bpe)
    back = case["comma_padding_backtrack"]
    packed = chunks.pack(
        parse_attention(case["prompt"], compat), bpe, bpe.comma, names, back, compat
    )
    rows = []
    for chunk in packed.chunks:
        tokens, multipliers = chunk.padded(ids["bos"], ids["eos"], ids["eos"])
        slots = [{"offset": s.offset, "name": s.name, "vectors": s.vectors} for s in chunk.slots]
        rows.append({"tokens": tokens, "multipliers": multipliers, "embeddings": slots})
    target = -(-max(packed.token_count, 1) // chunks.CHUNK) * chunks.CHUNK
    return {"token_count": packed.token_count, "target_count": target, "chunks": rows}


@pytest.mark.parametrize("case", CHUNKS["cases"], ids=_note)
def test_chunks(case: dict[str, Any]) -> None:
    wanted = {key: case[key] for key in case.keys() - {"note", "prompt", "comma_padding_backtrack"}}
    for row in wanted["chunks"]:
        row["multipliers"] = [pytest.approx(value, rel=1e-9) for value in row["multipliers"]]
    assert _packed(case, "a1111") == wanted
    bpe = clip_bpe.clip()
    given = (case["prompt"], bpe, bpe.comma, chunks.EmbeddingNames(EMBEDDINGS, bpe),
             case["comma_padding_backtrack"])  # fmt: skip
    if not deviations(ATTENTION_RULES, case["prompt"]) and not deviations(chunks.RULES, given):
        assert _packed(case, "sdtui") == wanted


def test_the_ids_of_the_vocabulary() -> None:
    bpe = clip_bpe.clip()
    vocabulary = bpe.vocabulary
    assert CHUNKS["ids"] == {
        "bos": vocabulary[clip_bpe.START], "eos": vocabulary[clip_bpe.END], "comma": bpe.comma,
    }  # fmt: skip


@pytest.mark.parametrize("case", CHUNKS["emphasis"]["modes"], ids=lambda case: case["mode"])
def test_emphasis(case: dict[str, Any]) -> None:
    recorded = CHUNKS["emphasis"]
    z = ((torch.arange(77 * 3, dtype=torch.float32) + 1) / 100 - 0.7).reshape(1, 77, 3)
    multipliers = torch.ones(1, 77)
    for position, value in recorded["multipliers"].items():
        multipliers[0, int(position)] = value
    result = emphasise(z, multipliers, case["mode"])
    assert result.flatten()[:12].tolist() == pytest.approx(case["first12"], rel=1e-5, abs=1e-6)
    assert float(result.mean()) == pytest.approx(case["mean"], rel=1e-5)


SCHEDULES = load("generation/prompt_schedule.json")


def _scheduled(case: dict[str, Any], compat: Any) -> dict[str, Any]:
    entries = prompt_schedule.schedule(
        case["prompt"], case["steps"], case["hires_steps"], old=case["use_old_scheduling"],
        compat=compat,
    )  # fmt: skip
    calls = range(len(case["entry_used_at_model_call"]))
    used = [prompt_schedule.entry_at(entries, call, compat) for call in calls]
    return {"expected": [list(entry) for entry in entries], "entry_used_at_model_call": used}


@pytest.mark.parametrize("case", SCHEDULES["cases"], ids=_note)
def test_schedules(case: dict[str, Any]) -> None:
    given = {"note", "prompt", "steps", "hires_steps", "use_old_scheduling"}
    wanted = {key: case[key] for key in case.keys() - given}
    assert _scheduled(case, "a1111") == wanted
    if not deviations(prompt_schedule.RULES, case["prompt"]):
        assert _scheduled(case, "sdtui") == wanted


def _composed(prompt: str, compat: Any) -> dict[str, Any]:
    parts = prompt_schedule.compose(prompt, compat)
    unique = list(dict.fromkeys(text for text, _ in parts))
    weights = [[unique.index(text), weight] for text, weight in parts]
    return {"indexes_and_weights": weights, "unique_subprompts": unique}


@pytest.mark.parametrize("case", SCHEDULES["and_cases"], ids=lambda case: case["prompt"])
def test_and(case: dict[str, Any]) -> None:
    assert _composed(case["prompt"], "a1111") == case["expected"]
    if not deviations(prompt_schedule.AND_RULES, case["prompt"]):
        assert _composed(case["prompt"], "sdtui") == case["expected"]


NETWORKS = load("generation/extra_networks.json")


def _networks(prompt: str, compat: Any) -> dict[str, Any]:
    cleaned, tags = extra_networks.parse(prompt, compat)
    networks: dict[str, list[dict[str, Any]]] = {}
    for tag in tags:
        row = {"items": list(tag.items), "positional": list(tag.positional), "named": tag.named}
        networks.setdefault(tag.word, []).append(row)
    return {"cleaned": cleaned, "networks": networks}


def _resolved(prompt: str, word: str, compat: Any) -> list[dict[str, Any]]:
    tags = [tag for tag in extra_networks.parse(prompt, compat)[1] if tag.word == word]
    return [
        {"name": lora.name, "te": lora.te, "unet": lora.unet, "dyn_dim": lora.dyn}
        for lora in extra_networks.loras(tags)
    ]


@pytest.mark.parametrize("case", NETWORKS["cases"], ids=lambda case: case["prompt"] or "empty")
@pytest.mark.parametrize("compat", ["a1111", "sdtui"])
def test_extra_networks(case: dict[str, Any], compat: Any) -> None:
    assert case.keys() <= {"prompt", "cleaned", "networks", "resolved"}
    if compat == "sdtui" and deviations(extra_networks.RULES, case["prompt"]):
        return
    wanted = {"cleaned": case["cleaned"], "networks": case["networks"]}
    assert _networks(case["prompt"], compat) == wanted
    for word, loras in case.get("resolved", {}).items():
        if isinstance(loras, dict) and "error" in loras:
            with pytest.raises(extra_networks.TagError):
                _resolved(case["prompt"], word, compat)
        else:
            assert _resolved(case["prompt"], word, compat) == loras


@pytest.mark.parametrize("case", NETWORKS["batch_cases"], ids=lambda case: str(case["prompts"]))
def test_extra_networks_of_a_batch(case: dict[str, Any]) -> None:
    """The first prompt's tags count for the whole batch: here, where a job has one prompt, they
    are that prompt's."""
    parsed = [extra_networks.parse(prompt, "a1111") for prompt in case["prompts"]]
    assert [cleaned for cleaned, _ in parsed] == case["cleaned"]
    first: dict[str, list[str]] = {}
    for tag in parsed[0][1]:
        first.setdefault(tag.word, []).append(list(tag.items))
    assert first == case["networks"]


SCRIPTS = load("generation/scripts.json")


@pytest.mark.parametrize("case", SCRIPTS["comments"], ids=lambda case: repr(case["text"]))
def test_comments(case: dict[str, Any]) -> None:
    assert comments.without_comments(case["text"], "a1111") == case["expected"]
    if not deviations(comments.RULES, case["text"]):
        assert comments.without_comments(case["text"]) == case["expected"]


@pytest.mark.parametrize("case", SCRIPTS["prompt_matrix"], ids=lambda case: case["prompt"])
def test_prompt_matrix(case: dict[str, Any]) -> None:
    given = case["prompt"], case["put_at_start"], case["delimiter"]
    assert prompt_lists.matrix(*given, "a1111") == case["expected"]
    if not deviations(prompt_lists.MATRIX_RULES, case["prompt"]):
        assert prompt_lists.matrix(*given) == case["expected"]


@pytest.mark.parametrize("case", SCRIPTS["prompts_from_file"], ids=lambda case: case["line"])
def test_prompts_from_file(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(prompt_file.LineError):
            prompt_file.read_options(case["line"])
    else:
        assert prompt_file.read_options(case["line"]) == case["expected"]


EASY = load("generation/easydiffusion.json")


@pytest.mark.parametrize("case", EASY["prompt_operators"], ids=lambda case: case["prompt"])
def test_easy_diffusion(case: dict[str, Any]) -> None:
    assert prompt_lists.easy_diffusion_sets(case["prompt"]) == case["after_set"]
    assert prompt_lists.easy_diffusion(case["prompt"]) == case["final"]


READERS = {"int": grid_values.integers, "float": grid_values.floats}


@pytest.mark.parametrize("case", SCRIPTS["xyz_values"], ids=lambda case: case["values"])
def test_values_of_a_grid(case: dict[str, Any]) -> None:
    if case["type"] == "str":
        assert grid_values.split(case["values"]) == case["expected"]
        return
    read = READERS[case["type"]]
    if "error" in case:
        with pytest.raises(grid_values.GridValueError):
            read(case["values"])
        return
    assert read(case["values"], "a1111") == case["expected"]
    if not deviations(grid_values.RULES, case["values"]):
        assert read(case["values"]) == case["expected"]


@pytest.mark.parametrize("case", SCRIPTS["prompt_sr"], ids=lambda case: case["prompt"])
def test_search_and_replace(case: dict[str, Any]) -> None:
    given = case["prompt"], case["negative"], case["values"], case["x"]
    if "error" in case:
        with pytest.raises(grid_values.GridValueError):
            grid_values.replaced(*given)
    else:
        assert list(grid_values.replaced(*given)) == case["expected"]
