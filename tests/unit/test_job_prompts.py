"""From the prompt of a job to what is drawn: choices, comments, LoRA tags, embeddings."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sdtui import demo
from sdtui.backend import prompts
from sdtui.backend import protocol as p
from sdtui.backend.local import run_local
from sdtui.backend.runner import JobError
from sdtui.diffusion.embeddings import EmbeddingError, fit, load_embedding, names_in
from sdtui.diffusion.load import Model, load_model
from sdtui.formats.infotext import parse
from sdtui.formats.infotext_apply import to_values
from sdtui.library.places import Places, find_places
from sdtui.library.trust import trust
from sdtui.params.generate import MAX_SEED, GenerateParams

WIDTH = 96
"""Of the demo model's text encoder."""


@pytest.fixture
def places(home: Path) -> Places:
    (home / "wildcards").mkdir(parents=True)
    (home / "wildcards" / "color.txt").write_text("red\nblue\ngreen\n")
    for folder in ("loras", "embeddings"):
        (home / "models" / folder).mkdir(parents=True)
    return find_places(home)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("demo", demo.model_dir(), "demo", torch.device("cpu"), lambda part: None)


def _params(**values: object) -> GenerateParams:
    return GenerateParams(**{"prompt": "cat", "seed": 5, **values})


def test_a_job_gets_a_seed_and_loses_its_comments() -> None:
    done = prompts.settled(_params(prompt="cat # x", negative_prompt="#y\ndog", seed=-1))
    assert (done.prompt, done.negative_prompt) == ("cat", "dog")
    assert 0 <= done.seed <= MAX_SEED


def test_a_prompt_without_choices_is_one_request(places: Places) -> None:
    params = _params(prompt="[a|b] {x} 100%", batch_size=2, batch_count=3)
    assert prompts.chosen(params, places, print) == [params]


def test_choices_follow_from_each_pictures_seed(places: Places) -> None:
    params = _params(prompt="__color__ {a|b|c}", negative_prompt="{d|e}", batch_count=12)
    requests = prompts.chosen(params, places, print)
    assert sum(request.images for request in requests) == 12
    drawn = [
        (request.seed + i, request.prompt, request.negative_prompt)
        for request in requests
        for i in range(request.images)
    ]
    assert [seed for seed, *_ in drawn] == list(range(5, 17))
    assert len({prompt for _, prompt, _ in drawn}) > 3
    for seed, prompt, negative in drawn:
        (alone,) = prompts.chosen(
            params.model_copy(update={"seed": seed, "batch_count": 1}), places, print
        )
        assert (alone.prompt, alone.negative_prompt) == (prompt, negative)


def test_equal_prompts_stay_in_one_batch(places: Places) -> None:
    (request,) = prompts.chosen(_params(prompt="{a|a}", batch_size=2, batch_count=2), places, print)
    assert (request.prompt, request.batch_size, request.batch_count) == ("a", 2, 2)
    requests = prompts.chosen(
        _params(prompt="{a|b}", batch_size=4, seed=MAX_SEED - 1), places, print
    )
    assert sum(request.images for request in requests) == 4
    assert all(0 <= request.seed <= MAX_SEED for request in requests)


@pytest.mark.parametrize("prompt", ["__colour__", "${q}", "{a|" * 50 + "}" * 50])
def test_choices_that_cannot_be_made_stop_the_job(places: Places, prompt: str) -> None:
    with pytest.raises(JobError) as caught:
        prompts.chosen(_params(prompt=prompt), places, print)
    assert caught.value.info.what == "The choices in the prompt cannot be made"
    assert caught.value.info.code == "usage"


def test_a_lora_that_is_not_there_stops_the_job(places: Places) -> None:
    told: list[str] = []
    for prompt, said in (
        ("a <lora:nope:0.5>", "There is no LoRA “nope”"),
        ("a <lora:nope:x>", "needs a number for its weight"),
    ):
        with pytest.raises(JobError, match=said):
            prompts.check_tags([_params(prompt=prompt)], places, told.append)
    assert told == []
    requests = [_params(prompt="a <hypernet:x:1> (b:1.2)")] * 2
    assert prompts.check_tags(requests, places, told.append) == [[], []]
    assert told == ["<hypernet:x:1> in the prompt means nothing here and is left out"]
    told.clear()
    prompts.check_tags([_params(negative_prompt="<lora:nope:x> b")], places, told.append)
    assert told == ["<lora:nope:x> is mere text in the negative prompt; LoRAs belong in the prompt"]


def test_embeddings_named_in_a_prompt(places: Places, model: Model) -> None:
    folder = places.models / "embeddings"
    save_file({"emb_params": torch.ones(3, 768)}, folder / "other.safetensors")
    told: list[str] = []
    assert prompts.embeddings(_params(prompt="cat"), places, model, told.append) == {}
    found = prompts.embeddings(_params(prompt="(Other:1.2) cat"), places, model, told.append)
    assert found == {}
    assert told == ["The embedding “other” is left out: other was made for another family of "
                    "models than demo"]  # fmt: skip


def test_a_pickle_is_read_once_it_is_allowed(places: Places, model: Model) -> None:
    path = places.models / "embeddings" / "old.pt"
    torch.save({"string_to_param": {"*": torch.ones(2, WIDTH)}}, path)
    told: list[str] = []
    assert prompts.embeddings(_params(prompt="old cat"), places, model, told.append) == {}
    assert len(told) == 1 and "sdtui trust" in told[0]
    trust(places, path)
    found = prompts.embeddings(_params(prompt="old cat"), places, model, told.append)
    assert [len(one) for one in found["old"]] == [2] and len(told) == 1


def test_names_that_may_stand_in_a_prompt() -> None:
    names = ["easy", "Bad-Hands 5", "x(y)"]
    assert names_in(names, "very EASY", "") == ["easy"]
    assert names_in(names, "bad-hands  5", r"x\(y\)") == ["Bad-Hands 5", "x(y)"]
    assert names_in(names, "ear", "x") == []


@pytest.mark.parametrize(
    "tensors",
    [
        {"emb_params": torch.ones(2, WIDTH)},
        {"<some-token>": torch.ones(WIDTH)},
        {"anything": torch.ones(1, WIDTH).half()},
    ],
    ids=["a1111", "diffusers", "half"],
)
def test_layouts_of_safetensors(tmp_path: Path, model: Model, tensors: dict) -> None:
    save_file(tensors, tmp_path / "e.safetensors")
    (vectors,) = load_embedding(tmp_path / "e.safetensors", model)
    assert vectors.dtype == torch.float32 and vectors.shape[1] == WIDTH


@pytest.mark.parametrize(
    "content",
    [
        {
            "string_to_param": {"*": torch.ones(2, WIDTH)},
            "string_to_token": {"*": 265},
            "name": "e",
        },
        {"<token>": torch.ones(WIDTH)},
    ],
    ids=["a1111", "diffusers"],
)
def test_layouts_of_pickles(tmp_path: Path, model: Model, content: object) -> None:
    torch.save(content, tmp_path / "e.pt")
    (vectors,) = load_embedding(tmp_path / "e.pt", model)
    assert torch.equal(vectors, torch.ones(len(vectors), WIDTH))


class _Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("/tmp/sdtui-evil-embedding"),))


def test_embeddings_that_cannot_be_used(tmp_path: Path, model: Model) -> None:
    torch.save({"a": _Evil()}, tmp_path / "evil.pt")
    with pytest.raises(EmbeddingError, match="holds no embedding"):
        load_embedding(tmp_path / "evil.pt", model)
    assert not Path("/tmp/sdtui-evil-embedding").exists()
    torch.save({"note": 1}, tmp_path / "none.pt")
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04abc")
    (tmp_path / "cut.safetensors").write_text(json.dumps({"a": 1}))
    for name, said in (
        ("none.pt", "holds no embedding"), ("cut.pt", "cannot be read"),
        ("cut.safetensors", "cannot be read"), ("gone.pt", "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(EmbeddingError, match=said):
            load_embedding(tmp_path / name, model)
    for tensor, said in (
        (torch.ones(76, WIDTH), "76 vectors"), (torch.full((1, WIDTH), torch.nan), "not numbers"),
    ):  # fmt: skip
        with pytest.raises(EmbeddingError, match=said):
            fit("e", {"emb_params": tensor}, model)
    with pytest.raises(EmbeddingError, match="another family"):
        fit("e", {"clip_l": torch.ones(1, 768), "clip_g": torch.ones(1, 1280)}, model)


def _texts(places: Places, **values: object) -> list[str]:
    return [one.prompt for one in prompts.chosen(_params(**values), places, print)]


def test_a_prompt_that_stands_for_several(places: Places) -> None:
    lines = "a cat\n\n{a|a} dog"
    assert _texts(places, prompt=lines, prompt_list="One a line") == ["a cat", "a dog"]
    assert _texts(places, prompt="__color__ {x|y}", prompt_list="Every choice") == [
        "red x", "red y", "blue x", "blue y", "green x", "green y",
    ]  # fmt: skip
    assert _texts(places, prompt="a|b", prompt_list="Matrix") == ["a", "a, b"]
    assert _texts(places, prompt="{a,b} | c\nd", prompt_list="Easy Diffusion") == [
        "a", "a, c", "b", "b, c", "d",
    ]  # fmt: skip
    many = prompts.chosen(_params(prompt="a|b", prompt_list="Matrix", batch_count=3), places, print)
    assert [(one.seed, one.images) for one in many] == [(5, 3), (5, 3)]
    assert _texts(places, prompt="", prompt_list="One a line") == [""]


def test_lines_with_settings(places: Places) -> None:
    told: list[str] = []
    text = '--prompt "a dog" --steps 7 --width 64 --tiling true\n--prompt b --seed -1'
    params = _params(prompt=text, prompt_list="One a line", negative_prompt="n")
    first, second = prompts.chosen(params, places, told.append)
    assert (first.prompt, first.steps, first.width, first.seed) == ("a dog", 7, 64, 5)
    assert first.negative_prompt == "n" and second.steps == params.steps and second.seed >= 0
    assert told == ["--tiling in the list of prompts means nothing here"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--steps many", "--steps needs a number"),
        ("--prompt a --width 65", "65"),
        ("--prompt a --sd_model other", "one checkpoint"),
        ("--bogus 1", "no option --bogus"),
    ],
)
def test_a_line_that_cannot_be_used_stops_the_job(places: Places, line: str, said: str) -> None:
    with pytest.raises(JobError, match=said) as caught:
        prompts.chosen(_params(prompt=line, prompt_list="One a line"), places, print)
    assert caught.value.info.what == "A line of the prompts cannot be used"


def test_too_many_prompts_stop_the_job(places: Places) -> None:
    for how, text in (("Matrix", "a" + "|b" * 20), ("Every choice", "{a|b}" * 20)):
        with pytest.raises(JobError, match="more than 5000 prompts"):
            prompts.chosen(_params(prompt=text, prompt_list=how), places, print)


def test_a_job_of_several_prompts(home: Path) -> None:
    events: list[p.Event] = []
    lines = "{smile|happy} # a remark\n--prompt 1girl --steps 3"
    params = GenerateParams(
        prompt=lines, prompt_list="One a line", width=64, height=64, steps=2, seed=1, batch_count=2
    )
    job = run_local(find_places(home), params.model_dump(), events.append, threading.Event())
    assert job.state == "done"
    texts = [event.image.infotext for event in events if isinstance(event, p.ImageSaved)]
    values = [to_values(parse(text)).values for text in texts]
    assert [one["seed"] for one in values] == [1, 2, 1, 2]
    assert [one["steps"] for one in values] == [2, 2, 3, 3]
    assert {str(one["prompt"]) for one in values[:2]} <= {"smile", "happy"}
    assert [one["prompt"] for one in values[2:]] == ["1girl", "1girl"]
    progress = [event.progress for event in events if isinstance(event, p.StepDone)]
    sampling = [one for one in progress if one.phase == "sampling"]
    assert {(one.steps, one.images) for one in sampling} == {(2, 4), (3, 4)}
