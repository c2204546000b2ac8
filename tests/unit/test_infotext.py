"""Infotext beyond the recorded cases: our own texts, other writers, hostile input."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from sdtui.backend import describe
from sdtui.formats import infotext_apply
from sdtui.formats.infotext import RULES, format_infotext, parse
from sdtui.formats.infotext_apply import apply, to_values
from sdtui.formats.infotext_fields import from_params, hires_pairs, ordered, written_schedule
from sdtui.formats.styles import Style
from sdtui.formats.versions import older, parse_version
from sdtui.params.base import specs
from sdtui.params.generate import GenerateParams

FIELDS = [name for name, spec in specs(GenerateParams).items() if spec.infotext]
OURS = GenerateParams(
    prompt="1girl, (park:1.2)\nsecond line", negative_prompt="bad, worse: worst",
    checkpoint="my, model", vae="None", width=640, height=448, steps=28, cfg_scale=5.5,
    sampler="Euler a", schedule="Karras", seed=7, clip_skip=2, emphasis="No norm",
    prompt_rules="A1111", random_source="CPU",
)  # fmt: skip


def test_our_own_text_comes_back_as_the_same_settings() -> None:
    text = describe.infotext(OURS, (OURS.checkpoint, "0123456789"), 7)
    for field in FIELDS:
        assert getattr(OURS, field) != specs(GenerateParams)[field].default, "nothing is tested"
    imported = to_values(parse(text))
    assert GenerateParams(**imported.values) == OURS
    assert imported.warnings == []
    assert {one.key for one in imported.ignored} == {"Version", "Model hash"}
    assert to_values(parse(text, "a1111")).values == imported.values


PROMPTS = (
    "", "a cat", "猫, 二匹", "(a:1.2), [b], c: d", "one\ntwo\n\nfour", "Steps: 20", '"quoted"',
    "<lora:x:0.5> y", "a, Steps: 20, Sampler: Euler", "{a|b} [c:d:5]", "back\\slash", "é\u200d🐈",
    "Steps: 1, Sampler: Euler, Seed: 5, Size: 64x64",
)  # fmt: skip


def _random_params(rng: random.Random) -> GenerateParams:
    """Any value of every field that infotext carries."""
    values: dict[str, Any] = {}
    for name, spec in specs(GenerateParams).items():
        low, high = int(spec.minimum or 0), int(spec.maximum or 0)
        if spec.kind == "choice":
            values[name] = rng.choice(spec.choices)
        elif spec.kind == "int" and spec.infotext:
            grain = spec.multiple_of or 1
            values[name] = rng.randrange(-(-max(low, 0) // grain), high // grain + 1) * grain
        elif spec.kind == "float" and spec.infotext:
            values[name] = round(rng.uniform(low, high), rng.choice((0, 1, 2, 6)))
        elif spec.kind == "prompt":
            values[name] = rng.choice(PROMPTS)
    values["checkpoint"] = rng.choice(("demo", "my, model", "a: b", "猫", 'x "y" z', "v1.5 (2)"))
    return GenerateParams(**values)


def test_any_settings_come_back_the_same() -> None:
    rng = random.Random(1)
    for _ in range(500):
        params = _random_params(rng)
        text = describe.infotext(params, (params.checkpoint, "0123456789"), params.seed)
        for compat in ("sdtui", "a1111"):
            values = to_values(parse(text, compat)).values
            given = params.model_dump(include=set(FIELDS) | {"prompt"})
            read = GenerateParams(**values).model_dump(include=set(given))
            for settings in (given, read):
                settings["schedule"] = written_schedule(settings["sampler"], settings["schedule"])
            assert read == given, text
        assert to_values(parse(text)).warnings == []


@pytest.mark.parametrize(
    ("sampler", "schedule", "written"),
    [
        ("DPM++ 2M", "Automatic", "Schedule type: Karras, CFG scale: 7,"),
        ("Euler a", "Automatic", "Schedule type: Automatic, CFG scale: 7,"),
        ("Euler", "Beta", "Beta schedule alpha: 0.6, Beta schedule beta: 0.6, Version: sdtui "),
        ("DDIM", "Beta", "Model: demo, RNG: NV, Version: sdtui "),
    ],
)
def test_what_a1111_writes_of_a_schedule(sampler: str, schedule: str, written: str) -> None:
    params = GenerateParams(sampler=sampler, schedule=schedule)
    assert written in describe.infotext(params, ("demo", None), 1)


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "Euler", "DDIM", "LCM"])
@pytest.mark.parametrize("schedule", ["Automatic", "Uniform", "Karras"])
def test_sampler_and_schedule_come_back_to_the_same_noise(sampler: str, schedule: str) -> None:
    params = OURS.model_copy(update={"sampler": sampler, "schedule": schedule})
    values = to_values(parse(format_infotext("a", "", from_params(params, 1)))).values
    same = {("DPM++ 2M", "Karras"): "Automatic"}
    expected = same.get((sampler, schedule), schedule)
    assert (values["sampler"], values["schedule"]) == (sampler, expected)


def test_a_text_without_settings_gives_its_prompt_only() -> None:
    assert to_values(parse("a cat\non a mat")).values == {"prompt": "a cat\non a mat"}


def test_missing_keys_that_mean_something() -> None:
    values = to_values(parse("cat\nSteps: 20, Seed: 5, Size: 512x512")).values
    assert (values["random_source"], values["clip_skip"]) == ("GPU", 1)
    assert "sampler" not in values and "cfg_scale" not in values


def test_values_that_do_not_fit_are_named_and_the_rest_is_taken() -> None:
    text = "cat\nSteps: many, CFG scale: 7, Seed: 5, Size: 513x512, RNG: dice"
    imported = to_values(parse(text))
    assert [one.key for one in imported.ignored] == ["Steps", "Size-1", "RNG"]
    assert imported.warnings[1] == (
        "Size-1: 513: width 513 is not a multiple of 8: use 512 or 520"
    )
    assert imported.values["height"] == 512 and imported.values["cfg_scale"] == 7.0


@pytest.mark.parametrize(
    ("pair", "warns"),
    [
        ("Sampler: Restart", False),
        ("Sampler: k_dpm_2_a", False),
        ("Sampler: Undefined", True),
        ("Schedule type: kl_optimal", False),
        ("Schedule type: Turbo", True),
        ("ENSD: 0", False),
        ("ENSD: 31337", True),
        ("Denoising strength: 0.4", True),
        ("Denoising strength: 0.4, Hires upscale: 2", True),
        ("User: me", False),
        ('Hashes: {"a": 1}', False),
        ("ADetailer model: face", True),
        ("Version: v1.5.0", True),  # rounded its noise levels
        ("Version: v1.10.1", False),
    ],
)
def test_what_is_left_out_is_told_where_it_matters(pair: str, warns: bool) -> None:
    imported = to_values(parse(f"cat\nSteps: 20, Seed: 5, Size: 512x512, {pair}"))
    assert bool(imported.warnings) is warns, imported
    assert all(one.why and one.key for one in imported.ignored)

def test_one_line() -> None:
    read = parse("a cat, on a mat, Steps: 20, Sampler: Euler, Seed: 1, Size: 64x64")
    assert (read.prompt, read.params["Steps"]) == ("a cat, on a mat", "20")


def test_lines_below_the_parameters() -> None:
    text = "cat\nNegative prompt: dog\nSteps: 20, Seed: 1, Size: 64x64\nTemplate: {cat|dog}"
    read = parse(text)
    assert (read.prompt, read.negative_prompt, read.params["Seed"]) == ("cat", "dog", "1")


def test_json_values() -> None:
    hashes = '{"model": "9b", "lora:a": "1, 2"}'
    text = f'cat\nSteps: 1, Hashes: {hashes}, Seed: 3, Extra: [1, {{"b": 2}}], Size: 8x8'
    params = parse(text).params
    assert params["Hashes"] == hashes
    assert params["Extra"] == '[1, {"b": 2}]'
    assert (params["Seed"], params["Size-2"]) == ("3", "8")
    assert "lora" not in params and "lora" in parse(text, "a1111").params


def test_prompts_that_only_look_like_json_or_settings() -> None:
    for text in ("a: [b", "style: {x, y}", "portrait: a, mood: b", "x" * 5000, "::::", '"'):
        assert parse(text).prompt == text


@pytest.mark.parametrize(
    ("params", "schedule"),
    [
        ("Sampler: DPM++ 2M", "Uniform"),
        ("Sampler: DPM++ 2M, Version: v1.8.0", "Uniform"),
        ("Sampler: DPM++ 2M, Version: v1.9.0", "Automatic"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "Automatic"),
        ("Sampler: DPM++ 2M Karras", "Automatic"),
        ("Sampler: Euler", "Automatic"),
        ("Sampler: Restart", "Automatic"),
        ("Sampler: DPM++ 2M, App: SD.Next, Version: a26d222", "Automatic"),
    ],
)
def test_bare_names_of_old(params: str, schedule: str) -> None:
    assert apply(parse(f"cat\nSteps: 20, Seed: 1, {params}")).scheduler == schedule


@pytest.mark.parametrize(
    ("params", "on"),
    [
        ("Denoising strength: 0.5", False),
        ("Denoising strength: 0.5, Hires upscale: 2", True),
        ("Denoising strength: 0.5, Hires upscaler: Latent", True),
        ("Denoising strength: 0.5, Hires resize: 0x1024", True),
        ("Denoising strength: 0.5, Hires resize: 0x0", False),
        ("Hires upscale: 2", False),
    ],
)
def test_hires(params: str, on: bool) -> None:
    text = f"cat\nSteps: 20, Seed: 1, {params}"
    assert apply(parse(text)).enable_hr is on
    assert apply(parse(text, "a1111")).enable_hr is ("Denoising" in params)


def test_a_broken_weight_does_not_stop_the_reading() -> None:
    text = "(cat:1.2.3)\nSteps: 20, Seed: 1, Size: 64x64"
    assert parse(text).filled()["Emphasis"] == "Original"
    assert any(rule.applies(text) for rule in RULES)
    with pytest.raises(ValueError):
        parse(text, "a1111").filled()


@pytest.mark.parametrize(
    ("prompt", "hires", "version", "read", "names"),
    [
        ("cat, best", "dog, best", "v1.10.1", ("cat", "dog"), ("tags",)),
        ("cat, best", "cat, best", "v1.10.1", ("cat", ""), ("tags",)),
        ("cat, best", "dog", "v1.10.1", ("cat, best", "dog"), ()),
        ("cat", "dog, best", "v1.10.1", ("cat", "dog, best"), ()),
        ("cat, best", "dog", "v1.8.0", ("cat", "dog"), ("tags",)),
        ("cat, best", "dog", "v1.8.0-139-gabc", ("cat", "dog"), ("tags",)),
        ("cat, best", "dog", "v1.8.0-140-gabc", ("cat, best", "dog"), ()),
    ],
)
def test_styles_of_a_hires_pass(
    prompt: str, hires: str, version: str, read: tuple[str, str], names: tuple[str, ...]
) -> None:
    text = f'{prompt}\nSteps: 1, Seed: 2, Hires prompt: "{hires}", Version: {version}'
    found = parse(text, "a1111", [Style("tags", "best")])
    assert (found.prompt, found.params["Hires prompt"]) == read
    assert found.styles == names


def test_writing_a_hires_pass() -> None:
    pairs = hires_pairs(
        ("DPM++ 2M", "Automatic"), denoising_strength=0.5, upscaler="Latent", steps=8,
        sampler="Euler a", schedule="Exponential", prompt="a, b",
    )  # fmt: skip
    text = format_infotext("", "", ordered({"Version": "x", **pairs, "Steps": 20}))
    assert text == (
        'Steps: 20, Denoising strength: 0.5, Hires sampler: Euler a, Hires prompt: "a, b", '
        "Hires schedule type: Exponential, Hires upscale: 2.0, Hires steps: 8, "
        "Hires upscaler: Latent, Version: x"
    )
    read = apply(parse(text))
    assert (read.hires_sampler, read.hires_scheduler) == ("Euler a", "Exponential")


@pytest.mark.parametrize(
    ("text", "released"),
    [
        ("v1.6.0", True), ("1.6", True), ("v1.6.0-2-g4afaaf8a", True), ("v1.5.2", False),
        ("v1.6.0-RC-28-ga0af2852", False), ("v1.10.1", True), ("1.6.0.post3", True),
    ],
)  # fmt: skip
def test_versions(text: str, released: bool) -> None:
    assert older(text, parse_version("v1.6.0")) is not released


@pytest.mark.parametrize("text", ["", None, "f2.0.1v1.10.1-previous-659-gc0", "a26d222", "ComfyUI"])
def test_other_programs_have_no_version(text: str | None) -> None:
    assert parse_version(text) is None and not older(text, parse_version("1.6.0"))


@pytest.mark.parametrize(
    "text",
    [
        "a" * 90_000,
        "a " * 45_000 + ":",
        " " * 90_000 + "x: y, " * 3,
        'aa: "' * 20_000,
        "aa: [" * 20_000,
        "aa: {" + '"' * 80_000,
        "[" * 100_000,
        "(a" * 50_000,
        "Steps: 1, " * 9_000,
        "x" + "\n" * 300_000 + "x",
        "aa: [1], " * 10_000,
        "x: y, " * 1_000_000,
        ": " + "[" * 90_000,
    ],
    ids=range(13),
)
def test_hostile_texts_are_read_in_time(text: str) -> None:
    start = time.process_time()
    infotext_apply.to_values(parse(text))
    [rule.applies(text) for rule in RULES]
    assert time.process_time() - start < 5
