"""From a request to pictures: reads from top to bottom like a recipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from sdtui.formats import extra_networks, prompt_rules
from sdtui.formats.sampler_names import SAMPLER_TRAITS
from sdtui.params.generate import MAX_SEED, GenerateParams

from . import samplers, schedules, vae
from .conditioning import Conditioning, condition
from .denoiser import Denoiser, Interrupter
from .load import Model
from .rng import ImageNoise
from .text import TextOptions


@dataclass
class Hooks:
    """What the caller wants to hear. Each may raise to cancel."""

    phase: Callable[[str], None] = lambda name: None
    """“text”, “sampling”, “decoding”: what begins now."""
    step: Callable[[int, Tensor], None] = lambda step, denoised_BCHW: None
    """After each step, from 1, with the guess of the finished latents."""
    image: Callable[[Image.Image, int], None] = lambda image, seed: None
    """A finished picture and its seed; called before the next batch begins."""
    notice: Callable[[str], None] = lambda text: None
    check: Callable[[], None] = lambda: None
    """Called many times within a step; raises when the job is cancelled."""


@dataclass
class Timings:
    """Seconds spent in each part of the last request, for the benches."""

    text_s: float = 0.0
    sampling_s: float = 0.0
    decoding_s: float = 0.0
    unet_calls: int = 0
    sigmas: list[float] = field(default_factory=list)


def seeds_of(params: GenerateParams) -> list[int]:
    """The seed of each picture: the first, then one more for each (wrapping at 2^32)."""
    if params.seed < 0:
        raise ValueError("the random seed must be chosen first")
    return [(params.seed + index) % (MAX_SEED + 1) for index in range(params.images)]


def cells(params: GenerateParams, model: Model) -> tuple[int, int, int]:
    """Latents of one picture (C,H,W)."""
    return model.channels, params.height // model.factor, params.width // model.factor


@torch.inference_mode()
def generate(
    model: Model, params: GenerateParams, hooks: Hooks,
    embeddings: Mapping[str, Sequence[Tensor]] | None = None,
) -> Timings:  # fmt: skip
    """Make every picture of `params` (its seed chosen), batch after batch.

    `embeddings` are the textual inversions that its prompts may name (see `TextOptions`).

    Picture i is the picture of seed + i made alone: each has a noise generator of its own. With
    `params.deterministic` that holds byte for byte, because the U-Net then sees one at a time.

    Raises:
        NotFinite: a picture has no finite pixels. What the hooks raise comes through.
    """
    timings = Timings()
    hooks.phase("text")
    started = time.perf_counter()
    options = TextOptions(
        params.clip_skip, params.emphasis, embeddings=embeddings or {},
        compat=prompt_rules.compat_of(params.prompt_rules),
    )  # fmt: skip
    prompt, negative = _conditioning(model, params, options, hooks.check)
    timings.text_s = time.perf_counter() - started

    sampler = samplers.get(params.sampler)
    sigmas = schedules.sigmas_for(params.schedule, params.sampler, params.steps, model.table)
    timings.sigmas = sigmas.tolist()
    denoiser = Denoiser(
        model, prompt, negative, params.cfg_scale, alone=params.deterministic,
        size=(params.height, params.width),
    )  # fmt: skip
    seeds = seeds_of(params)
    for start in range(0, len(seeds), params.batch_size):
        batch = seeds[start : start + params.batch_size]
        hooks.phase("sampling")
        started = time.perf_counter()
        latents_BCHW = _sample(model, params, hooks, sampler, sigmas, denoiser, batch)
        timings.sampling_s += time.perf_counter() - started
        hooks.phase("decoding")
        for index, seed in enumerate(batch):
            hooks.check()
            started = time.perf_counter()
            (image,) = vae.decode(model, latents_BCHW[index : index + 1], hooks.notice)
            timings.decoding_s += time.perf_counter() - started
            hooks.image(image, seed)
    timings.unet_calls = denoiser.calls
    return timings


def _conditioning(
    model: Model, params: GenerateParams, options: TextOptions, check: Callable[[], None]
) -> tuple[Conditioning, Conditioning]:
    """What the prompt, without its tags, and the negative prompt say, call after call."""
    calls = params.steps * SAMPLER_TRAITS[params.sampler].calls_per_step
    old = prompt_rules.has_old_timelines(params.prompt_rules)
    prompt, _ = extra_networks.parse(params.prompt)
    common = {"old_timelines": old, "check": check}
    return (
        condition(model, prompt, options, calls, **common),
        condition(model, params.negative_prompt, options, calls, negative=True, **common),
    )


def _sample(
    model: Model, params: GenerateParams, hooks: Hooks, sampler: samplers.Sampler,
    sigmas: Tensor, denoiser: Denoiser, seeds: list[int],
) -> Tensor:  # fmt: skip
    """The finished latents of one batch (B,C,H,W)."""
    noise = ImageNoise(seeds, cells(params, model), params.random_source, device=model.device)

    def callback(step: int, x: Tensor, denoised: Tensor, sigma: float) -> None:
        hooks.step(step + 1, denoised)

    denoiser.begin()
    with Interrupter(model.unet, hooks.check):
        x = sampler.start(noise.first(), sigmas)
        return sampler.run(denoiser, x, sigmas, noise.next, callback, table=model.table)
