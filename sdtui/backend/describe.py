"""What is written into a picture and its name: the infotext, the PNG, the words of the patterns."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sdtui import __version__
from sdtui.params.generate import GenerateParams

if TYPE_CHECKING:
    from PIL.Image import Image

    from sdtui.diffusion.load import Model


def fields(params: GenerateParams, model: Model, seed: int) -> dict[str, object]:
    """The parameter line's keys and values in A1111's order (reference: A1111 1.10)."""
    from sdtui.diffusion import schedules

    found: dict[str, object] = {"Steps": params.steps, "Sampler": params.sampler}
    found |= schedules.infotext(params.schedule, params.sampler)
    found |= {
        "CFG scale": f"{params.cfg_scale:g}",
        "Seed": seed,
        "Size": f"{params.width}x{params.height}",
        "Model hash": model_hash(model.path),
        "Model": model.name,
    }
    if params.clip_skip > 1:
        found["Clip skip"] = params.clip_skip
    if params.random_source != "GPU":
        found["RNG"] = params.random_source
    found["Version"] = f"sdtui {__version__}"
    return found


def model_hash(path: Path) -> str:
    """First 10 hex digits of the sha256 of the file (of the U-Net's, for a diffusers folder)."""
    file = path
    if path.is_dir():
        file = next(iter(sorted((path / "unet").glob("*.safetensors"))), path)
    status = file.stat()
    return _hash(file, status.st_size, status.st_mtime_ns) if file.is_file() else ""


@lru_cache(maxsize=16)
def _hash(file: Path, size: int, mtime_ns: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:10]


def infotext(params: GenerateParams, model: Model, seed: int) -> str:
    line = ", ".join(f"{k}: {v}" for k, v in fields(params, model, seed).items())
    negative = f"\nNegative prompt: {params.negative_prompt}" if params.negative_prompt else ""
    return f"{params.prompt}{negative}\n{line}"


def png(image: Image, text: str) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def pattern_values(params: GenerateParams, model: Model, seed: int, index: int) -> dict[str, object]:
    return {"seed": seed}
