"""Latents to pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .load import Model


class NotFinite(ArithmeticError):
    """The picture has no finite pixels, even in full precision."""


@torch.inference_mode()
def decode(model: Model, latents_BCHW: Tensor, notice: Callable[[str], None]) -> list[Image.Image]:
    """One picture for each row of `latents` (in the U-Net's scale).

    Half precision can overflow: then the VAE is put to fp32 for good and the picture decoded
    again, which `notice` tells. Pixels are cut off, not rounded, as A1111 does.

    Raises:
        NotFinite: fp32 does not help either.
    """
    pictures = []
    for latent in latents_BCHW:
        pixels = _decode_one(model, latent[None])
        if not torch.isfinite(pixels).all() and next(model.vae.parameters()).dtype != torch.float32:
            notice("The VAE overflowed in half precision; it works in full precision from now on.")
            model.vae.to(torch.float32)
            pixels = _decode_one(model, latent[None])
        if not torch.isfinite(pixels).all():
            raise NotFinite("the picture came out as not-a-number")
        array = (pixels[0].permute(1, 2, 0).float().cpu().numpy() + 1) * 127.5
        pictures.append(Image.fromarray(np.clip(array, 0, 255).astype(np.uint8)))
    return pictures


def _decode_one(model: Model, latent_1CHW: Tensor) -> Tensor:
    """(1,3,H,W) in about -1..1."""
    config = model.vae.config
    latent = latent_1CHW.to(next(model.vae.parameters()).dtype) / config.scaling_factor
    if getattr(config, "shift_factor", None):
        latent = latent + config.shift_factor
    return model.vae.decode(latent, return_dict=False)[0]  # type: ignore[no-any-return]
