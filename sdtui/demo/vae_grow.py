"""The VAE, second part: one more level around the 64 px VAE, for pictures of 128 px.

The new level begins as the identity, so the grown VAE starts where the small one stood. Its encoder
learns to give the small encoder's latents (those of the picture at half size); its decoder learns
to draw 128 px from exactly these latents, a little noised as the U-Net's will be.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional as F

from . import dataset
from .muon import Both
from .stage import Stage
from .vae_stage import (
    ADAM_RATE,
    BATCH,
    CHANNELS,
    FACE_WEIGHT,
    MUON_RATE,
    OUTER,
    SCALING,
    face_weights,
    new_vae,
    picture_loss,
    to_tensor,
)  # fmt: skip

NOISE = 0.1
"""Deviation of the noise on the decoder's latents, in units of their own."""
SIZES = (128, 128, 128, 128, 128, 128, 128, 192, 128, 128, 128, 128, 128, 128, 128, 256)
"""Pixels of the batches, in turn."""


class Pictures:
    """Batches of pictures of every size, with the small encoder's latents (unscaled)."""

    SETS: ClassVar[dict[int, tuple[dataset.Set, ...]]] = {
        128: ("train", "vae"), 192: ("train",), 256: ("train",),
    }  # fmt: skip

    def __init__(self, work: Path, small: AutoencoderKL) -> None:
        self.work, self.small = work, small
        self.weights = {size: face_weights(size, FACE_WEIGHT) for size in self.SETS}

    @cached_property
    def rows(self) -> dict[int, np.ndarray]:
        """Sets in equal shares: as many of the first as there are of the last."""
        loaded = {}
        for size, names in self.SETS.items():
            sets = [dataset.load(self.work, name, size) for name in names]
            loaded[size] = np.concatenate([rows[: len(sets[-1])] for rows in sets])
        return loaded

    @torch.no_grad()
    def batch(self, stage: Stage, size: int) -> tuple[Tensor, Tensor]:
        """(B,3,size,size) in -1..1 and (B,4,size/8,size/8); larger pictures by fewer."""
        rows = self.rows[size]
        count = max(2, BATCH * 128**2 // size**2)
        x = to_tensor(rows[stage.pick(len(rows), count).numpy()])
        with torch.autocast("cpu", torch.bfloat16):
            z = self.small.encode(F.avg_pool2d(x, 2)).latent_dist.mean
        return x, z.float()


@torch.no_grad()
def grow(small: AutoencoderKL) -> AutoencoderKL:
    """`small` with one more level outside, that at first only halves and doubles the picture."""
    vae = new_vae((CHANNELS[0], *CHANNELS), 128)
    own = vae.state_dict()
    for name, value in small.state_dict().items():
        parts = name.split(".")
        if name.startswith("encoder.down_blocks"):
            parts[2] = str(int(parts[2]) + 1)
        own[".".join(parts)] = value
    vae.load_state_dict(own)
    down, up = vae.encoder.down_blocks[0], vae.decoder.up_blocks
    for resnet in (*down.resnets, *up[-1].resnets):
        nn.init.zeros_(resnet.conv2.weight)
        nn.init.zeros_(resnet.conv2.bias)
    for conv, rows in ((down.downsamplers[0].conv, 2), (up[-2].upsamplers[0].conv, 1)):
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
        first = 0 if rows == 2 else 1
        for channel in range(conv.weight.shape[0]):
            conv.weight[channel, channel, first : first + rows, first : first + rows] = 1 / rows**2
    return vae



def train_encoder(work: Path, vae: AutoencoderKL, pictures: Pictures, budget_s: float) -> None:
    """The encoder in place, towards the small one's latents."""
    optimizer = Both(vae.encoder, MUON_RATE / 3, ADAM_RATE, OUTER)
    stage = Stage("vae-encoder", work, budget_s, {"encoder": vae.encoder, "optimizer": optimizer})
    errors = list[float]()
    for step in stage.steps():
        optimizer.rate(min(1.0, (step + 1) / 50) * max(0.01, 1 - stage.share))
        x, z = pictures.batch(stage, SIZES[step % len(SIZES)])
        with torch.autocast("cpu", torch.bfloat16):
            own = vae.encode(x).latent_dist.mean
        loss = ((own.float() - z) * SCALING).square().mean()
        loss.backward()
        optimizer.step()
        stage.seen += len(x)
        errors.append(loss.item())
        if step % 100 == 99:
            print(f"vae-encoder: {stage.seconds:.0f} s, {stage.seen} pictures, latents off by "
                  f"{np.mean(errors[-100:]) ** 0.5:.3f}", flush=True)  # fmt: skip


def train_decoder(work: Path, vae: AutoencoderKL, pictures: Pictures, budget_s: float) -> None:
    """The decoder in place."""
    inner = nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv})
    optimizer = Both(inner, MUON_RATE, ADAM_RATE, OUTER)
    stage = Stage("vae-decoder", work, budget_s, {"decoder": inner, "optimizer": optimizer})
    errors = list[float]()
    for step in stage.steps():
        optimizer.rate(min(1.0, (step + 1) / 50) * max(0.01, 1 - stage.share))
        size = SIZES[step % len(SIZES)]
        x, z = pictures.batch(stage, size)
        z = z + NOISE / SCALING * stage.normal(z.shape)
        with torch.autocast("cpu", torch.bfloat16):
            y = vae.decode(z).sample.float()
        picture_loss(y - x, pictures.weights[size]).backward()
        optimizer.step()
        stage.seen += len(x)
        errors.append((y - x).detach().square().mean().item())
        if step % 100 == 99:
            print(f"vae-decoder: {stage.seconds:.0f} s, {stage.seen} pictures, training "
                  f"{-10 * np.log10(np.mean(errors[-100:]) / 4):.2f} dB", flush=True)  # fmt: skip
