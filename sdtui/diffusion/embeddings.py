"""Textual inversions (Gal et al. 2022): learnt vectors that a name in the prompt stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from sdtui.formats.chunks import CHUNK
from sdtui.formats.pickled import SUFFIXES as PICKLES

from .load import Model
from .pickled import pickled_tensors

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
        found = pickled_tensors(path) if path.suffix.lower() in PICKLES else load_file(path)
    except MemoryError:
        raise
    except Exception as error:  # a made-up file can fail in any way
        raise EmbeddingError(f"{path.name} cannot be read: {_first_line(error)}") from error
    if not found:
        raise EmbeddingError(f"{path.name} holds no embedding")
    return dict(found)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def names_in(names: Sequence[str], *prompts: str) -> list[str]:
    """The names that may stand in the prompts: the encoder's tokens decide, not this."""
    text = "".join(" ".join(prompts).replace("\\", "").split()).casefold()
    return [name for name in names if "".join(name.split()).casefold() in text]
