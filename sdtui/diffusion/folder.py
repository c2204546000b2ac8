"""Diffusers folders: each part in a folder of its own, with its config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .noise_table import NoiseTable
from .parts import LoadError, Parts

BASES = {768: "sd15", 1024: "sd2", 2048: "sdxl", 1280: "refiner"}
VARIANTS = {9: "inpainting", 8: "pix2pix", 5: "depth"}
TRAINED = (
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas",
)  # fmt: skip
USUAL = ("scaled_linear", 0.00085, 0.012)


class Folder:
    """The parts of one folder. Each method makes one part and raises LoadError if it cannot."""

    def __init__(self, path: Path, family: str) -> None:
        self.path = path
        config = self._json("unet/config.json")
        two = (path / "text_encoder_2").is_dir()
        self.base = BASES.get(config.get("cross_attention_dim") or 0, "sdxl" if two else family)
        self.variant = VARIANTS.get(config.get("in_channels") or 4, "")
        self.files = tuple(sorted(path.glob("*/*.safetensors")))

    def _json(self, name: str) -> dict[str, Any]:
        try:
            loaded = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise LoadError(f"{self.path / name} cannot be read: {error}") from error
        return loaded if isinstance(loaded, dict) else {}

    def tokenizers(self) -> list[Any]:
        from transformers import CLIPTokenizer

        return [self._part(CLIPTokenizer, name) for name in self._both("tokenizer")]

    def text_encoders(self, parts: Parts) -> list[Any]:
        from transformers import CLIPTextModel, CLIPTextModelWithProjection

        made = []
        for name in self._both("text_encoder"):
            parts.told(name.replace("_", " "))
            network = CLIPTextModelWithProjection if name.endswith("2") else CLIPTextModel
            made.append(self._part(network, name, dtype=parts.dtype))
        return made

    def _both(self, name: str) -> list[str]:
        """SDXL has two of them."""
        second = f"{name}_2"
        return [name, second] if (self.path / second).is_dir() else [name]

    def unet(self, parts: Parts) -> Any:
        from diffusers import UNet2DConditionModel

        return self._part(UNet2DConditionModel, "unet", torch_dtype=parts.dtype)

    def vae(self, parts: Parts) -> Any:
        from diffusers import AutoencoderKL

        return self._part(AutoencoderKL, "vae", torch_dtype=parts.vae_dtype(self.base))

    def _part(self, kind: Any, part: str, **options: Any) -> Any:
        folder = self.path / part
        if not folder.is_dir():
            name = part.replace("_", " ")
            raise LoadError(f"{self.path} has no {name} (the folder {part}/ is missing)")
        weights = [file.name for file in folder.glob("*.safetensors")]
        if weights and all(".fp16." in name for name in weights):
            options["variant"] = "fp16"
        try:
            return kind.from_pretrained(str(folder), local_files_only=True, **options)
        except MemoryError:
            raise
        except Exception as error:  # the libraries raise all kinds for a broken file
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise LoadError(f"{folder} cannot be read: {lines[0]}") from error

    def schedule(self) -> tuple[NoiseTable, str]:
        """The noise table and the prediction type that the model was trained with."""
        from diffusers import DDPMScheduler

        config = self._json("scheduler/scheduler_config.json")
        if not config:
            raise LoadError(f"{self.path}/scheduler/scheduler_config.json is missing")
        prediction = str(config.get("prediction_type", "epsilon"))
        if tuple(config.get(key) for key in ("beta_schedule", "beta_start", "beta_end")) == USUAL:
            table = NoiseTable.scaled_linear()
        else:
            trained = {key: config[key] for key in TRAINED if key in config}
            alphas = DDPMScheduler(**trained).alphas_cumprod
            table = NoiseTable.from_alphas_cumprod(alphas.clamp(1e-8, 1 - 1e-8))
        if config.get("rescale_betas_zero_snr"):
            table = table.zero_terminal()
        return table, prediction
