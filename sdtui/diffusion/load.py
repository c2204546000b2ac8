"""A checkpoint on disk becomes a `Model` in memory. No network, ever.

Single files and diffusers folders; each part is loaded by itself, with a word about it before and
a chance to cancel between parts. Tensors of the wanted dtype stay views of the mapped file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sdtui.formats.model_kind import ModelKind
from sdtui.library.stamp import Stamp

from .device import unet_dtype
from .noise_table import NoiseTable
from .parts import LoadError, Parts, Told

__all__ = ["LoadError", "Model", "Told", "load_model"]


@dataclass
class Model:
    """A Stable Diffusion in memory."""

    name: str
    path: Path
    family: str
    """sd15, sd2, sdxl, refiner, or demo."""
    unet: Any
    vae: Any
    text_encoders: list[Any]
    """One; SDXL has two: CLIP-L, then OpenCLIP-G with projection. SD 2's lacks its last layer,
    which the model was trained not to read."""
    tokenizers: list[Any]
    """One for each text encoder; they differ in padding."""
    table: NoiseTable
    prediction_type: str
    """epsilon, v_prediction or sample (Ho et al. 2020; Salimans & Ho 2022)."""
    device: torch.device
    dtype: torch.dtype
    variant: str = ""
    """inpainting, pix2pix, depth, or “” for a plain model."""
    vae_file: Path | None = None
    """The file that the VAE came from, where it is not the checkpoint's own."""
    stamps: tuple[Stamp, ...] = field(default_factory=tuple)
    """The files whose pages this model may still read."""

    @property
    def text_encoder(self) -> Any:
        """The only one, or the first."""
        return self.text_encoders[0]

    @property
    def tokenizer(self) -> Any:
        """The only one, or the first."""
        return self.tokenizers[0]

    @property
    def factor(self) -> int:
        """Pixels per latent cell."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def channels(self) -> int:
        """Of the latents."""
        return int(self.vae.config.latent_channels)


def load_model(
    name: str,
    path: Path,
    family: str,
    device: torch.device,
    told: Told,
    *,
    kind: ModelKind | None = None,
    vae: Path | None = None,
    text: Path | None = None,
    dtype: torch.dtype | None = None,
) -> Model:
    """Load a single file or a diffusers folder.

    Args:
        kind: what a single file is, where the caller knows more than its header tells.
        vae: a file or folder to take the VAE from, instead of the checkpoint's own.
        text: a checkpoint or text encoder file to take the text encoders from.
        dtype: of U-Net and text encoders; None takes what suits the device.

    Raises:
        LoadError: a part is missing or broken, or this kind of file cannot draw.
        Whatever `told` raises.
    """
    from . import folder, single_file

    if not path.exists():
        raise LoadError(f"{path} is not there any more")
    parts = Parts(device, dtype or unet_dtype(device), told)
    source = folder.Folder(path, family) if path.is_dir() else single_file.open_file(path, kind)
    stamps = [Stamp.of(one) for one in source.files]
    told("tokenizer")
    tokenizers = source.tokenizers()
    other = source
    if text is not None:
        other = single_file.open_text(text, source.base)
        stamps.append(Stamp.of(text))
    encoders = other.text_encoders(parts)
    told("U-Net")
    unet = source.unet(parts)
    told("VAE")
    if vae is not None:
        stamps.append(Stamp.of(vae))
    decoder = single_file.vae_from(vae, source.base, parts) if vae else source.vae(parts)
    told("device")
    for module in (*encoders, unet, decoder):
        module.eval().requires_grad_(False).to(device)
    table, prediction_type = source.schedule()
    return Model(
        name, path, family if path.is_dir() else source.base, unet, decoder, encoders, tokenizers,
        table, prediction_type, device, parts.dtype, source.variant, vae, tuple(stamps),
    )  # fmt: skip
