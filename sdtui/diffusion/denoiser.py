"""The model as samplers want it: (x, sigma) -> the best guess of the picture without noise.

x is in the variance-exploding form x = x0 + sigma * noise (Karras et al. 2022); the U-Net wants
x / sqrt(sigma^2 + 1) and a timestep, and predicts the noise (epsilon) or v = alpha * noise -
sigma' * x0 (Salimans & Ho 2022, appendix D).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from . import guide
from .conditioning import Conditioning
from .load import Model
from .text import Encoded


class Denoiser:
    """`denoiser(x_BCHW, sigma)` with classifier-free guidance (Ho & Salimans 2022).

    Several prompts at once pull with their weights (Liu et al. 2022, composable diffusion):
    output = negative + cfg_scale * sum_i weight_i * (prompt_i - negative). Prompts and negative
    prompt go through the U-Net in one call when they have the same number of chunks, else in two
    (A1111's rule). `calls` counts U-Net calls.
    """

    def __init__(
        self, model: Model, prompt: Conditioning, negative: Conditioning, cfg_scale: float, *,
        alone: bool, size: tuple[int, int] = (0, 0),
    ) -> None:  # fmt: skip
        """`alone`: one picture at a time, for exact pixels. `size`: (height, width) in pixels,
        which SDXL is told."""
        self.model, self.prompt, self.negative, self.alone = model, prompt, negative, alone
        self.scales = [cfg_scale * weight for weight in prompt.weights]
        self.guided = not math.isclose(sum(self.scales), 1)
        """Else the negative prompt has no share in the result."""
        self.calls = 0
        self.call = 0
        """Which call of a sampler comes next; schedules of prompts count these."""
        self._known: tuple[object, list[Encoded]] = (None, [])
        self._guide = guide.blank(model, *size)
        # Size of the training picture, crop, size wanted: SDXL's micro-conditioning.
        self._sizes = torch.tensor([*size, 0, 0, *size], device=model.device, dtype=model.dtype)

    def begin(self) -> None:
        """The next call is the first of a picture."""
        self.call = 0

    def __call__(self, x_BCHW: Tensor, sigma: float) -> Tensor:
        singles = len(x_BCHW) if self.alone else 1
        result = [self._denoise(one, sigma) for one in x_BCHW.chunk(singles)]
        self.call += 1
        return result[0] if singles == 1 else torch.cat(result)

    def _denoise(self, x_BCHW: Tensor, sigma: float) -> Tensor:
        scale_in = 1 / math.sqrt(sigma**2 + 1)
        t = self.model.table.sigma_to_t(sigma)
        scaled = (x_BCHW * scale_in).to(self.model.dtype)
        outputs = [
            output
            for contexts in self._contexts(len(scaled))
            for output in self._unet(scaled, t, contexts).split(len(scaled))
        ]
        if self.guided:
            *prompts, negative = outputs
        else:
            prompts, negative = outputs, 0.0
        output = negative
        for scale, one in zip(self.scales, prompts, strict=True):
            output = output + scale * (one - negative)
        return self._denoised(x_BCHW, output, sigma)

    def _contexts(self, pictures: int) -> list[Encoded]:
        """What the U-Net reads at this call: for each of its runs, rows of all pictures for the
        first prompt, then for the next, the negative one last. Made anew only when it changes."""
        now = (self.prompt.variants_at(self.call), self.negative.variants_at(self.call), pictures)
        if self._known[0] != now:
            self._known = (now, self._stacked(*now))
        return self._known[1]

    def _stacked(
        self, variants: tuple[int, ...], negative: tuple[int, ...], pictures: int
    ) -> list[Encoded]:
        runs = [self.prompt.contexts(variants)]
        if self.guided:
            runs.append(self.negative.contexts(negative))
        if len({run.context_NTC.shape[1] for run in runs}) == 1:
            runs = [_joined(runs)]
        return [_for_each(run, pictures, self.model.dtype) for run in runs]

    def _unet(self, scaled: Tensor, t: Tensor, contexts: Encoded) -> Tensor:
        """One run: every row of the contexts with its picture, (rows,C,H,W)."""
        self.calls += 1
        context = contexts.context_NTC
        timestep = t.to(scaled.device, torch.float32)
        many = scaled.repeat(len(context) // len(scaled), 1, 1, 1)
        if self._guide is not None:
            many = torch.cat([many, self._guide.expand(len(many), -1, -1, -1)], dim=1)
        extra = {}
        if contexts.pooled_NC is not None:
            sizes = self._sizes.expand(len(context), -1)
            extra["added_cond_kwargs"] = {"text_embeds": contexts.pooled_NC, "time_ids": sizes}
        output = self.model.unet(many, timestep, context, return_dict=False, **extra)[0]
        return output.float()  # type: ignore[no-any-return]

    def _denoised(self, x: Tensor, output: Tensor, sigma: float) -> Tensor:
        kind = self.model.prediction_type
        if kind == "epsilon":
            return x - sigma * output
        if kind == "v_prediction":
            return x / (sigma**2 + 1) - output * sigma / math.sqrt(sigma**2 + 1)
        if kind == "sample":
            return output
        raise ValueError(f"unknown prediction type {kind}")


def _joined(runs: list[Encoded]) -> Encoded:
    pooled = [run.pooled_NC for run in runs if run.pooled_NC is not None]
    context = torch.cat([run.context_NTC for run in runs])
    return Encoded(context, torch.cat(pooled) if pooled else None)


def _for_each(run: Encoded, pictures: int, dtype: torch.dtype) -> Encoded:
    """Each row once for each picture: (rows * pictures, ...)."""
    context, pooled = run.context_NTC, run.pooled_NC
    return Encoded(
        context.to(dtype).repeat_interleave(pictures, 0),
        None if pooled is None else pooled.to(dtype).repeat_interleave(pictures, 0),
    )


class Interrupter:
    """Breaks off a model call soon after a flag is set: hooks in the U-Net's blocks look at it.

    Use as a context manager around the calls; `check` raises whatever means “cancelled”.
    """

    BLOCKS = ("ResnetBlock2D", "BasicTransformerBlock", "Downsample2D", "Upsample2D")

    def __init__(self, unet: torch.nn.Module, check: Callable[[], None]) -> None:
        self.unet, self.check = unet, check
        self.handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Interrupter:
        for module in self.unet.modules():
            if type(module).__name__ in self.BLOCKS:
                self.handles.append(module.register_forward_pre_hook(lambda *_: self.check()))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()
