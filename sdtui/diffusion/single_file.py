"""Single files: one safetensors file (mapped, not read) to the parts of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from sdtui.formats.clip_bpe import shipped_tables
from sdtui.formats.header import HeaderError
from sdtui.formats.model_kind import V_STD, V_TENSOR, ModelKind, what_is
from sdtui.formats.pickled import SUFFIXES
from sdtui.formats.tensor_names import UNET, VAE, usual

from . import configs, keys
from .mapped import mapped_tensors
from .noise_table import NoiseTable
from .parts import LoadError, Parts, filled
from .pickled import pickled_tensors

TEXT_WORDS = {"sdxl": ("CLIP-L text encoder", "OpenCLIP-G text encoder")}
DIFFUSERS_UNET = "down_blocks."


def open_file(path: Path, kind: ModelKind | None = None) -> SingleFile:
    """A checkpoint. Raises LoadError for everything that is none, or that cannot draw."""
    kind = kind or _kind(path)
    if kind.kind != "checkpoint":
        raise LoadError(f"{path.name} is not a checkpoint: {kind.said}")
    if kind.base not in configs.FAMILIES:
        raise LoadError(f"{path.name} is a {kind.said}: it cannot make pictures by itself")
    return SingleFile(path, kind)


def open_text(path: Path, base: str) -> SingleFile:
    """A file to take text encoders from: another checkpoint, or a text encoder alone."""
    kind = _kind(path)
    if kind.kind not in ("checkpoint", "text encoder"):
        raise LoadError(f"{path.name} holds no text encoder: {kind.said}")
    return SingleFile(path, replace(kind, base=base))


def vae_from(path: Path, base: str, parts: Parts) -> Any:
    """A VAE from a file of its own, or from another checkpoint."""
    kind = _kind(path)
    if kind.kind not in ("vae", "checkpoint"):
        raise LoadError(f"{path.name} is not a VAE: {kind.said}")
    return SingleFile(path, replace(kind, base=base)).vae(parts)


def _kind(path: Path) -> ModelKind:
    try:
        return what_is(path)
    except HeaderError as error:
        raise LoadError(str(error)) from error
    except OSError as error:
        raise LoadError(f"{path} cannot be read: {error.strerror}") from error


def _tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor under its usual name, as a view of the mapped file."""
    if path.suffix.lower() in SUFFIXES:
        return _pickled(path)
    try:
        tensors = mapped_tensors(path)
    except (HeaderError, RuntimeError) as error:
        raise LoadError(f"{path.name} cannot be read: {error}") from error
    except OSError as error:
        raise LoadError(f"{path} cannot be read: {error.strerror}") from error
    return {plain: tensors[name] for plain, name in usual(tensors).items()}


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        tensors = pickled_tensors(path)
    except MemoryError:
        raise
    except Exception as error:  # a made-up pickle can fail in any way
        raise LoadError(f"{path.name} cannot be read; download it again") from error
    return {plain: tensors[name] for plain, name in usual(tensors).items()}


class SingleFile:
    """The parts of one file. Each method makes one part and raises LoadError if it cannot."""

    def __init__(self, path: Path, kind: ModelKind) -> None:
        self.path, self.kind, self.base, self.variant = path, kind, kind.base, kind.variant
        self.files = (path,)
        self._names = _tensors(path)

    def tokenizers(self) -> list[Any]:
        from transformers import CLIPTokenizer

        vocabulary, merges = shipped_tables()
        return [
            CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=padding, model_max_length=77)
            for padding in configs.FAMILIES[self.base].padding
        ]

    def text_encoders(self, parts: Parts) -> list[Any]:
        words = TEXT_WORDS.get(self.base, ("text encoder",))
        made = []
        for index, prefixes in enumerate(keys.text_prefixes(self.base)):
            parts.told(words[index])
            tensors = keys.text_encoder(self._names, prefixes)
            if not tensors and self.kind.kind == "text encoder" and len(words) == 1:
                tensors = keys.clip_names(self._names)
            if not tensors:
                raise LoadError(
                    f"{self.path.name} has no {words[index]}; choose one with text_encoder=NAME: "
                    "another checkpoint of its family, or a text encoder file"
                )
            made.append(self._text_encoder(tensors, index, parts, words[index]))
        return made

    def _text_encoder(
        self, tensors: Mapping[str, Tensor], index: int, parts: Parts, word: str
    ) -> Any:
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

        what = f"the {word} in {self.path.name}"
        config = self._config(
            lambda shapes: configs.clip_config(shapes, self.base, index), tensors, what
        )
        network = CLIPTextModelWithProjection if index else CLIPTextModel
        return filled(
            lambda: network(CLIPTextConfig(**config)), _wrapped(tensors), parts.dtype, what
        )

    def unet(self, parts: Parts) -> Any:
        from diffusers import UNet2DConditionModel
        from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

        tensors = keys.below(self._names, UNET)
        what = f"the U-Net in {self.path.name}"
        if any(name.startswith(DIFFUSERS_UNET) for name in tensors):
            raise LoadError(
                f"{self.path.name} holds a U-Net under diffusers' names without its config; "
                "use the whole diffusers folder"
            )
        config = self._config(lambda shapes: configs.unet_config(shapes, self.base), tensors, what)
        prefixed = {UNET + name: tensor for name, tensor in tensors.items()}
        converted = convert_ldm_unet_checkpoint(prefixed, config)
        return filled(lambda: UNet2DConditionModel(**config), converted, parts.dtype, what)

    def vae(self, parts: Parts) -> Any:
        from diffusers import AutoencoderKL
        from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

        tensors = keys.below(self._names, VAE)
        if not tensors:
            raise LoadError(
                f"{self.path.name} has no VAE; choose one with vae=NAME, a file in models/VAE"
            )
        what = f"the VAE in {self.path.name}"
        tensors = keys.vae_names(tensors)
        config = self._config(lambda shapes: configs.vae_config(shapes, self.base), tensors, what)
        converted = convert_ldm_vae_checkpoint(tensors, config)
        return filled(lambda: AutoencoderKL(**config), converted, parts.vae_dtype(self.base), what)

    def schedule(self) -> tuple[NoiseTable, str]:
        """The noise table and what the U-Net predicts."""
        table = NoiseTable.scaled_linear()
        if self.kind.zero_snr:
            table = table.zero_terminal()
        return table, self.kind.prediction or self._sd2_prediction()

    def _sd2_prediction(self) -> str:
        """For pickles, whose tensors are not looked into when they are listed."""
        tensor = self._names.get(UNET + V_TENSOR)
        plain = tensor is not None and tensor.float().std(correction=0) <= V_STD
        return "epsilon" if plain else "v_prediction"

    def _config(
        self, read: Callable[[configs.Shapes], dict[str, Any]],
        tensors: Mapping[str, Tensor], what: str,
    ) -> dict[str, Any]:  # fmt: skip
        try:
            return read({name: tuple(tensor.shape) for name, tensor in tensors.items()})
        except (KeyError, IndexError, StopIteration, ValueError) as error:
            raise LoadError(f"{what} is incomplete or unusual: nothing tells its size") from error


def _wrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under both of transformers' names: 5.6 made CLIPTextModel flat, its sister has an inner
    `text_model`."""
    return {**tensors, **{f"text_model.{name}": tensor for name, tensor in tensors.items()}}
