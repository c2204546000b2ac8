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

from .load import Model


class Denoiser:
    """`denoiser(x_BCHW, sigma)` with classifier-free guidance (Ho & Salimans 2022).

    Prompt and negative prompt go through the U-Net in one call when they have the same number of
    chunks, else in two (A1111's rule). `calls` counts U-Net calls.
    """

    def __init__(
        self, model: Model, context: Tensor, negative: Tensor, cfg_scale: float, *, alone: bool
    ) -> None:
        """context, negative: (1, 77 n, width). `alone`: one picture at a time, for exact pixels."""
        self.model, self.cfg_scale, self.alone = model, cfg_scale, alone
        self.context, self.negative = context.to(model.dtype), negative.to(model.dtype)
        self.calls = 0

    def __call__(self, x_BCHW: Tensor, sigma: float) -> Tensor:
        if self.alone and len(x_BCHW) > 1:
            return torch.cat([self._denoise(x_BCHW[i : i + 1], sigma) for i in range(len(x_BCHW))])
        return self._denoise(x_BCHW, sigma)

    def _denoise(self, x_BCHW: Tensor, sigma: float) -> Tensor:
        scale_in = 1 / math.sqrt(sigma**2 + 1)
        t = self.model.table.sigma_to_t(sigma)
        scaled = (x_BCHW * scale_in).to(self.model.dtype)
        if self.cfg_scale == 1:
            output = self._unet(scaled, t, self.context)
        else:
            output = self._guided(scaled, t)
        return self._denoised(x_BCHW, output, sigma)

    def _guided(self, scaled: Tensor, t: Tensor) -> Tensor:
        if self.context.shape == self.negative.shape:
            both = torch.cat([self.context.expand(len(scaled), -1, -1),
                              self.negative.expand(len(scaled), -1, -1)])  # fmt: skip
            cond, uncond = self._unet(torch.cat([scaled, scaled]), t, both).chunk(2)
        else:
            cond = self._unet(scaled, t, self.context)
            uncond = self._unet(scaled, t, self.negative)
        return uncond + self.cfg_scale * (cond - uncond)

    def _unet(self, scaled: Tensor, t: Tensor, context: Tensor) -> Tensor:
        self.calls += 1
        context = context.expand(len(scaled), -1, -1) if len(context) == 1 else context
        timestep = t.to(scaled.device, torch.float32)
        output = self.model.unet(scaled, timestep, context, return_dict=False)[0]
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
