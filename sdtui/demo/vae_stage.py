"""The VAE, first part: factor 4 on pictures of 64 px, which cost a quarter of those of 128.

Its latents (16x16) are whitened and then never change: the U-Net can begin on them while
`vae_grow` teaches a factor-8 encoder the same latents, and the decoder to draw them at 128 px.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional as F

from . import dataset
from .muon import Both
from .stage import Stage

CHANNELS = (16, 64, 96)
"""From 64 px down to 16 px; few where pixels are many, because there the time goes."""
SCALING = 0.18215
BATCH = 8
MUON_RATE, ADAM_RATE = 0.03, 2e-3
OUTER = ("conv_in", "conv_out", "quant_conv")
"""Layers that AdamW trains: they touch pixels or latents."""
KL_WEIGHT = 1e-4
FACE = (0.26, 0.36, 0.74, 0.64)
"""Left, top, right and bottom of eyes and mouth as shares of the picture."""
FACE_WEIGHT = 2.0
POSTERIOR_STD = 0.05
"""Noise of the encoder's posterior once whitened, in units of the latents' own deviation."""


def new_vae(channels: tuple[int, ...], size: int) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=1, latent_channels=4, norm_num_groups=8, sample_size=size,
        mid_block_add_attention=False, scaling_factor=SCALING,
    )  # fmt: skip


def face_weights(side: int, weight: float) -> Tensor:
    """Loss weights (side,side) of mean 1, larger over eyes and mouth."""
    left, top, right, bottom = (round(share * side) for share in FACE)
    weights = torch.ones(side, side)
    weights[top:bottom, left:right] = weight
    return weights / weights.mean()


def to_tensor(pixels_NHWC: np.ndarray) -> Tensor:
    """uint8 (N,H,W,3) to (N,3,H,W) in -1..1."""
    return torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def psnr(name: dataset.Set, vae: AutoencoderKL, size: int, count: int = 64) -> float:
    """Mean peak signal-to-noise ratio in dB of encode-decode on `count` pictures of a set."""
    with torch.no_grad():
        x = to_tensor(dataset.pixels(name, range(count), max(size, 128)))
        if size < 128:
            x = F.avg_pool2d(x, 128 // size)
        y = torch.cat([vae.decode(vae.encode(b).latent_dist.mode()).sample for b in x.split(16)])
        error = ((y.clamp(-1, 1) - x) / 2).square().mean((1, 2, 3))
        return float((-10 * torch.log10(error)).mean())


def half_size(*sets: np.ndarray) -> np.ndarray:
    """128 px pictures at 64 px, uint8 (N,64,64,3)."""
    whole = np.concatenate(sets)
    corners = [whole[:, y::2, x::2].astype(np.uint16) for y in (0, 1) for x in (0, 1)]
    return ((sum(corners) + 2) // 4).astype(np.uint8)


def train(work: Path, budget_s: float) -> AutoencoderKL:
    """Factor 4 at 64 px: reconstruction (L1 and squared error) and a little KL."""
    vae = new_vae(CHANNELS, 64)
    optimizer = Both(vae, MUON_RATE, ADAM_RATE, OUTER)
    stage = Stage("vae-64", work, budget_s, {"vae": vae, "optimizer": optimizer})
    data = half_size(*(dataset.load(work, name, 128) for name in ("train", "vae")))
    weights, errors = face_weights(64, FACE_WEIGHT), list[float]()
    for step in stage.steps():
        optimizer.rate(min(1.0, (step + 1) / 50) * max(0.01, 1 - stage.share))
        x = to_tensor(data[stage.pick(len(data), BATCH).numpy()])
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(x).latent_dist
        z = posterior.mean.float()
        z = z + posterior.std.float() * stage.normal(z.shape)
        with torch.autocast("cpu", torch.bfloat16):
            y = vae.decode(z).sample.float()
        loss = picture_loss(y - x, weights) + KL_WEIGHT * posterior.kl().mean() / z[0].numel()
        loss.backward()
        optimizer.step()
        stage.seen += BATCH
        errors.append((y - x).detach().square().mean().item())
        if step % 100 == 99:
            print(f"vae-64: {stage.seconds:.0f} s, {stage.seen} pictures, training "
                  f"{-10 * np.log10(np.mean(errors[-100:]) / 4):.2f} dB", flush=True)  # fmt: skip
    return vae


def picture_loss(error_BCHW: Tensor, weights: Tensor) -> Tensor:
    """Sharp lines from L1, true colours from the square."""
    return ((error_BCHW.abs() + 2 * error_BCHW.square()) * weights).mean()


def packed(module: nn.Module) -> bytes:
    """The weights as a file."""
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    return buffer.getvalue()


@torch.no_grad()
def whiten(vae: AutoencoderKL, pixels_NHWC: np.ndarray) -> None:
    """Fold a linear map into the quant convolutions: latents get mean 0, covariance 1/SCALING^2.

    So the scaling factor 0.18215 is true for this VAE. The posterior's deviation is made constant.
    """
    means = []
    for start in range(0, len(pixels_NHWC), 32):
        x = to_tensor(pixels_NHWC[start : start + 32])
        means.append(vae.encode(x).latent_dist.mean.permute(0, 2, 3, 1).reshape(-1, 4))
    latents_N4 = torch.cat(means)
    mean, covariance = latents_N4.mean(0), torch.cov(latents_N4.T)
    values, vectors = torch.linalg.eigh(covariance)
    forward = vectors @ torch.diag(values.rsqrt() / SCALING) @ vectors.T
    backward = torch.linalg.inv(forward)
    quant, post = vae.quant_conv, vae.post_quant_conv
    weight, bias = quant.weight[:4, :, 0, 0], quant.bias[:4]
    quant.bias[:4] = forward @ (bias - mean)
    quant.weight[:4, :, 0, 0] = forward @ weight
    quant.weight[4:], quant.bias[4:] = 0, 2 * float(np.log(POSTERIOR_STD / SCALING))
    weight = post.weight[:, :, 0, 0].clone()
    post.bias += weight @ mean
    post.weight[:, :, 0, 0] = weight @ backward
