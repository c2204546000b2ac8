"""The further channels that inpainting checkpoints read beside the noisy latents."""

from __future__ import annotations

import torch
from torch import Tensor

from .load import Model


@torch.inference_mode()
def blank(model: Model, height: int, width: int) -> Tensor | None:
    """(1, 5, h, w) for an inpainting checkpoint that draws a whole picture; None for plain ones.

    The mask says “draw everywhere”; behind it lies a picture in mid-gray, as in A1111's txt2img.
    """
    if model.variant != "inpainting":
        return None
    parameter = next(model.vae.parameters())
    gray = torch.zeros(1, 3, height, width, device=model.device, dtype=parameter.dtype)
    hidden = model.vae.encode(gray).latent_dist.mode() * model.vae.config.scaling_factor
    return torch.cat([torch.ones_like(hidden[:, :1]), hidden], dim=1).to(model.dtype)
