"""A checkpoint on disk becomes a `Model` in memory. No network, ever.

Diffusers folders for now: each part is loaded by itself, with a word about it before and a chance
to cancel between parts. Same-dtype tensors stay views of the mapped file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .device import unet_dtype, vae_dtype
from .noise_table import NoiseTable

Told = Callable[[str], None]
"""Called with the name of the part about to be loaded; may raise to cancel."""


class LoadError(Exception):
    """The model cannot be loaded; the message says what is wrong with which file."""


@dataclass
class Model:
    """A Stable Diffusion in memory."""

    name: str
    path: Path
    family: str
    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    table: NoiseTable
    prediction_type: str
    """epsilon, v_prediction or sample (Ho et al. 2020; Salimans & Ho 2022)."""
    device: torch.device
    dtype: torch.dtype

    @property
    def factor(self) -> int:
        """Pixels per latent cell."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def channels(self) -> int:
        return int(self.unet.config.in_channels)


def load_model(name: str, path: Path, family: str, device: torch.device, told: Told) -> Model:
    """Load a diffusers folder.

    Raises:
        LoadError: a part is missing or broken, or the kind of file is not supported yet.
    """
    if not path.exists():
        raise LoadError(f"{path} is not there any more")
    if not path.is_dir():
        raise LoadError(
            f"{path.name} is a single file ({family}); this version loads diffusers folders only"
        )
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    dtype = unet_dtype(device)
    told("tokenizer")
    tokenizer = _part(CLIPTokenizer, path, "tokenizer")
    told("text encoder")
    text_encoder = _part(CLIPTextModel, path, "text_encoder", dtype=dtype)
    told("U-Net")
    unet = _part(UNet2DConditionModel, path, "unet", torch_dtype=dtype)
    told("VAE")
    vae = _part(AutoencoderKL, path, "vae", torch_dtype=vae_dtype(device, family))
    told("device")
    for module in (text_encoder, unet, vae):
        module.eval().requires_grad_(False).to(device)
    table, prediction_type = _schedule(path)
    return Model(
        name, path, family, unet, vae, text_encoder, tokenizer, table, prediction_type, device,
        dtype,
    )  # fmt: skip


def _part(kind: Any, path: Path, part: str, **options: Any) -> Any:
    folder = path / part
    if not folder.is_dir():
        raise LoadError(f"{path} has no {part.replace('_', ' ')} (the folder {part}/ is missing)")
    try:
        return kind.from_pretrained(str(folder), local_files_only=True, **options)
    except MemoryError:
        raise
    except Exception as error:  # the libraries raise all kinds for a broken file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LoadError(f"{folder} cannot be read: {first}") from error


def _schedule(path: Path) -> tuple[NoiseTable, str]:
    """The noise table and the prediction type that the model was trained with."""
    from diffusers import DDPMScheduler

    try:
        config = DDPMScheduler.load_config(str(path), subfolder="scheduler", local_files_only=True)
    except (OSError, ValueError) as error:
        raise LoadError(f"{path}/scheduler cannot be read: {error}") from error
    prediction = str(config.get("prediction_type", "epsilon"))
    trained = {key: config[key] for key in
               ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas",
                "rescale_betas_zero_snr") if key in config}  # fmt: skip
    alphas = DDPMScheduler(**trained).alphas_cumprod
    if (config.get("beta_schedule"), config.get("beta_start"), config.get("beta_end")) == (
        "scaled_linear", 0.00085, 0.012,
    ) and not config.get("rescale_betas_zero_snr"):  # fmt: skip
        return NoiseTable.scaled_linear(), prediction
    return NoiseTable.from_alphas_cumprod(alphas.clamp(1e-8, 1 - 1e-8)), prediction
