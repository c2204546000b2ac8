"""Text of SD 1.5, SD 2 and SDXL, on tiny files in the original layout, against diffusers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench import make_model
from sdtui.diffusion.conditioning import condition
from sdtui.diffusion.embeddings import load_embedding
from sdtui.diffusion.load import Model, load_model
from sdtui.diffusion.pipeline import Hooks, generate
from sdtui.diffusion.text import Encoded, TextOptions, encode
from sdtui.params.generate import GenerateParams

BASES = ("sd15", "sd2", "sdxl")
PROMPT = "a cat, it's 1920"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    folder = tmp_path_factory.mktemp("text")
    made: dict[str, Model] = {}

    def model(base: str) -> Model:
        if base not in made:
            path = make_model.checkpoint(folder / f"{base}.safetensors", base, tiny=True)
            made[base] = load_model(base, path, base, torch.device("cpu"), lambda part: None)
        return made[base]

    return model


def _theirs(model: Model, prompt: str) -> tuple[Tensor, Tensor | None]:
    """(context, pooled) as diffusers' pipelines make them."""
    from diffusers import DDPMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

    scheduler = DDPMScheduler(steps_offset=1, clip_sample=False)
    common = {"vae": model.vae, "unet": model.unet, "scheduler": scheduler,
              "text_encoder": model.text_encoders[0], "tokenizer": model.tokenizers[0]}  # fmt: skip
    if len(model.text_encoders) > 1:
        pipe = StableDiffusionXLPipeline(
            **common, text_encoder_2=model.text_encoders[1], tokenizer_2=model.tokenizers[1]
        )
        context, _, pooled, _ = pipe.encode_prompt(prompt, do_classifier_free_guidance=False)
        return context, pooled
    pipe = StableDiffusionPipeline(
        **common, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    return pipe.encode_prompt(prompt, "cpu", 1, False)[0], None


def _assert_same(ours: Encoded, theirs: tuple[Tensor, Tensor | None]) -> None:
    torch.testing.assert_close(ours.context_NTC, theirs[0], rtol=1e-4, atol=1e-5)
    assert (ours.pooled_NC is None) == (theirs[1] is None)
    if theirs[1] is not None:
        torch.testing.assert_close(ours.pooled_NC, theirs[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("base", BASES)
@torch.inference_mode()
def test_one_chunk_is_what_diffusers_makes(models: Callable[[str], Model], base: str) -> None:
    model = models(base)
    for prompt in (PROMPT, "", "cat " * 75):
        _assert_same(encode(model, [prompt], TextOptions()), _theirs(model, prompt))


@torch.inference_mode()
def test_clip_skip_is_for_sd15_alone(models: Callable[[str], Model]) -> None:
    two = TextOptions(clip_skip=2)
    for base in ("sd2", "sdxl"):
        _assert_same(encode(models(base), [PROMPT], two), _theirs(models(base), PROMPT))
    # diffusers' own clip_skip fails with the flat CLIPTextModel of transformers 5.6.
    encoder, tokenizer = models("sd15").text_encoder, models("sd15").tokenizer
    ids = tokenizer(PROMPT, padding="max_length", return_tensors="pt").input_ids
    layers = encoder(ids, output_hidden_states=True).hidden_states
    expected = encoder.final_layer_norm(layers[-2])
    _assert_same(encode(models("sd15"), [PROMPT], two), (expected, None))


@torch.inference_mode()
def test_sdxl_pools_the_first_chunk_without_weights(models: Callable[[str], Model]) -> None:
    model = models("sdxl")
    plain = encode(model, ["cat BREAK dog"], TextOptions())
    weighted = encode(model, ["(cat:1.5) BREAK (dog:0.5)"], TextOptions())
    assert torch.equal(plain.pooled_NC, weighted.pooled_NC)
    torch.testing.assert_close(plain.pooled_NC, encode(model, ["cat"], TextOptions()).pooled_NC)
    width = model.text_encoders[0].config.hidden_size
    for part in (slice(None, width), slice(width, None)):  # each encoder keeps its own mean
        means = [one.context_NTC[:, :77, part].mean() for one in (plain, weighted)]
        torch.testing.assert_close(*means, rtol=1e-3, atol=1e-5)


def test_an_empty_negative_prompt_is_nothing_to_sdxl(models: Callable[[str], Model]) -> None:
    for base in BASES:
        made = condition(models(base), "", TextOptions(), 4, negative=True)
        encoded = made.contexts(made.variants_at(0))
        assert bool((encoded.context_NTC == 0).all()) == (base == "sdxl")
    assert bool((encoded.pooled_NC == 0).all())
    other = condition(models("sdxl"), "[|x]", TextOptions(), 4, negative=True)
    assert not bool((other.contexts(other.variants_at(0)).context_NTC == 0).all())


@pytest.mark.parametrize("base", BASES)
def test_embeddings_of_each_family(
    models: Callable[[str], Model], tmp_path: Path, base: str
) -> None:
    model = models(base)
    path = make_model.embedding(tmp_path / "thing.safetensors", base, vectors=3, tiny=True)
    vectors = load_embedding(path, model)
    assert [len(one) for one in vectors] == [3] * len(model.text_encoders)
    options = TextOptions(embeddings={"thing": vectors})
    with_it, without = (
        encode(model, ["a thing, cat"], one).context_NTC for one in (options, TextOptions())
    )
    assert not torch.allclose(with_it, without)
    # The embedding takes three slots where the word takes one.
    assert torch.isfinite(with_it).all() and with_it.shape == without.shape


@pytest.mark.parametrize("base", BASES)
def test_a_picture_of_each_family(models: Callable[[str], Model], base: str) -> None:
    made: list[tuple[int, int]] = []
    params = GenerateParams(
        prompt="[cat|dog] AND (fish:1.2):0.5 <lora:x:1>", negative_prompt="a BREAK b", width=64,
        height=64, steps=2, seed=1, batch_size=2, sampler="Euler",
    )  # fmt: skip
    hooks = Hooks(image=lambda image, seed: made.append(image.size))
    generate(models(base), params, hooks)
    assert made == [(64, 64)] * 2
