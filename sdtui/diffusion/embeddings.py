"""Textual inversions (Gal et al. 2022): learnt vectors that a name in the prompt stands for."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sdtui.formats.chunks import CHUNK

from .load import Model

PICKLES = (".pt", ".bin", ".ckpt", ".pth")
BY_ENCODER = ("clip_l", "clip_g")


class EmbeddingError(Exception):
    """The embedding cannot be used; the message says why."""


def load_embedding(path: Path, model: Model) -> list[Tensor]:
    """The vectors (V, width) for each text encoder of `model`. Executes nothing in the file.

    Raises:
        EmbeddingError: it cannot be read, or belongs to another family of models.
    """
    return fit(path.stem, _tensors(path), model)


def fit(name: str, tensors: dict[str, Tensor], model: Model) -> list[Tensor]:
    """The same of tensors at hand: “clip_l” and “clip_g” for SDXL, else one of any name."""
    widths = [encoder.get_input_embeddings().weight.shape[1] for encoder in model.text_encoders]
    if len(widths) == 1:
        candidates = [tensor for key, tensor in tensors.items() if key not in BY_ENCODER]
        vectors = [_rows(tensor) for tensor in candidates or tensors.values()][:1]
    else:
        vectors = [_rows(tensors[key]) for key in BY_ENCODER if key in tensors]
    if [one.shape[1] for one in vectors] != widths:
        raise EmbeddingError(f"{name} was made for another family of models than {model.name}")
    if len({len(one) for one in vectors}) > 1 or not 0 < len(vectors[0]) <= CHUNK:
        raise EmbeddingError(f"{name} has {len(vectors[0])} vectors; 1 to {CHUNK} can be used")
    if not all(bool(torch.isfinite(one).all()) for one in vectors):
        raise EmbeddingError(f"{name} holds values that are not numbers")
    return vectors


def _rows(tensor: Tensor) -> Tensor:
    return tensor.float().reshape(-1, tensor.shape[-1]) if tensor.ndim else tensor.reshape(1, 1)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix.lower() not in PICKLES:
            return dict(load_file(path))
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        raise EmbeddingError(f"{path.name} cannot be read: {_first_line(error)}") from error
    except pickle.UnpicklingError as error:
        raise EmbeddingError(
            f"{path.name} holds more than plain tensors, so it is not read; get it as .safetensors"
        ) from error
    return _unpacked(path.name, loaded)


def _unpacked(name: str, loaded: Any) -> dict[str, Tensor]:
    """The tensors of a pickle: of A1111 (string_to_param), of diffusers, or a bare one."""
    if isinstance(loaded, Tensor):
        return {"*": loaded}
    if isinstance(loaded, dict):
        inner = loaded.get("string_to_param", loaded)
        found = {str(key): one for key, one in dict(inner).items() if isinstance(one, Tensor)}
        if found:
            return found
    raise EmbeddingError(f"{name} holds no embedding")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def names_in(names: Sequence[str], *prompts: str) -> list[str]:
    """The names that may stand in the prompts: the encoder's tokens decide, not this."""
    text = "".join(" ".join(prompts).replace("\\", "").split()).casefold()
    return [name for name in names if "".join(name.split()).casefold() in text]
