"""The trained parts as a diffusers folder, fp16, as any Stable Diffusion is shipped."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer

from sdtui.library import atomic

from . import tokenizer as vocabulary
from .unet_stage import SCHEDULE

SETTINGS = "width: 128\nheight: 128\nsteps: 20\ncfg_scale: 4.0\n"
"""What suits this model, in the words of `GenerateParams`."""


def export(
    folder: Path, unet: UNet2DConditionModel, vae: AutoencoderKL, tower: CLIPTextModel
) -> None:
    """Write the model to `folder`, over an older one. The modules are left as they are."""
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        vocabulary.write(temporary / "words")
        scheduler = DPMSolverMultistepScheduler(
            **{key: value for key, value in SCHEDULE.items() if key != "clip_sample"},
            algorithm_type="dpmsolver++", timestep_spacing="trailing",
        )  # fmt: skip
        pipeline = StableDiffusionPipeline(
            vae=vae, text_encoder=tower, unet=unet, scheduler=scheduler,
            tokenizer=CLIPTokenizer.from_pretrained(temporary / "words"),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.to(torch.float16).save_pretrained(temporary / "model")
        pipeline.to(torch.float32)
        vocabulary.write(temporary / "model" / "tokenizer")
        for path in sorted((temporary / "model").rglob("*")):
            if path.is_file():
                target = folder / path.relative_to(temporary / "model")
                atomic.replace_bytes(target, path.read_bytes(), 0o644)
    _load_as_float32(folder / "text_encoder" / "config.json")
    atomic.replace_text(folder / "sdtui.yaml", SETTINGS, 0o644)


def _load_as_float32(path: Path) -> None:
    """transformers loads as the config says, diffusers as fp32: on a CPU they must agree."""
    config = json.loads(path.read_text()) | {"dtype": "float32"}
    atomic.replace_text(path, json.dumps(config, indent=2) + "\n", 0o644)
