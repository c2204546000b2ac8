"""What the unfinished picture looks like: each latent cell becomes one pixel, by a linear map.

The VAE is close to linear in colour, so four numbers of a cell give its mean colour well (0.4 ms
for 512 px). The map is fitted to the model's own VAE when it is loaded, by least squares over
decoded noise blobs, so that it is right for every VAE and no table has to be trusted.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .load import Model
from .vae import _decode_one

SAMPLES, CELLS = 6, 16


@torch.inference_mode()
def fit(model: Model) -> Tensor:
    """(C + 1, 3): latents (in the U-Net's scale) and a constant to RGB in -1..1."""
    generator = torch.Generator().manual_seed(0)
    channels = model.channels
    rows, targets = [], []
    for _ in range(SAMPLES):
        coarse = torch.randn(1, channels, 4, 4, generator=generator)
        latent = F.interpolate(coarse, size=(CELLS, CELLS), mode="bicubic") * 1.2
        pixels = _decode_one(model, latent.to(model.device)).float().cpu().clamp(-1, 1)
        small = F.interpolate(pixels, size=(CELLS, CELLS), mode="area")
        rows.append(latent[0].reshape(channels, -1).T)
        targets.append(small[0].reshape(3, -1).T)
    features = torch.cat(rows)
    features = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    return torch.linalg.lstsq(features, torch.cat(targets)).solution


def picture(factors: Tensor, latents_CHW: Tensor) -> Image.Image:
    """A small picture, one pixel for each latent cell."""
    channels, height, width = latents_CHW.shape
    flat = latents_CHW.detach().float().cpu().reshape(channels, -1).T
    rgb = flat @ factors[:channels] + factors[channels]
    pixels = ((rgb.clamp(-1, 1) + 1) * 127.5).to(torch.uint8).reshape(height, width, 3)
    return Image.fromarray(pixels.numpy())


def contact_sheet(factors: Tensor, latents_BCHW: Tensor) -> Image.Image:
    """The batch side by side, as square as it can be."""
    small = [picture(factors, latents) for latents in latents_BCHW]
    columns = max(1, round(len(small) ** 0.5 + 0.499))
    rows = -(-len(small) // columns)
    width, height = small[0].size
    sheet = Image.new("RGB", (columns * width, rows * height))
    for index, image in enumerate(small):
        sheet.paste(image, (index % columns * width, index // columns * height))
    return sheet
