"""A LoRA file opened: its tensors by module, ready to be put into a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from sdtui.formats.header import HeaderError, read_header
from sdtui.formats.lora_keys import LoraKeys, Modules, Target, peft_scale, sort_keys
from sdtui.formats.pickled import SUFFIXES as PICKLES
from sdtui.library.stamp import Stamp

from .embeddings import EmbeddingError, fit
from .load import Model
from .mapped import mapped_tensors
from .pickled import pickled_tensors


class LoraError(Exception):
    """The LoRA cannot be used with this model; the message says why, for a person."""


@dataclass(frozen=True, slots=True)
class LoraUse:
    """A LoRA and how strongly it acts."""

    name: str
    """As the person calls it."""
    path: Path
    te: float = 1.0
    """Strength in the text encoders."""
    unet: float = 1.0
    dyn: int | None = None
    """Only the first ranks of plain LoRA modules; None = all."""


@dataclass(frozen=True, slots=True)
class Match:
    """How much of a LoRA file the model has a place for."""

    name: str
    matched: int
    modules: int
    left_out: tuple[str, ...] = ()
    """Modules that the model lacks, embeddings for others, keys of unknown kind."""
    embeddings: tuple[str, ...] = ()
    """Names of the embeddings that came with it and can be used."""

    @property
    def said(self) -> str:
        """“LoRA hat: 180 of 192 modules fit this model; left out: lora_unet_…”."""
        words = f"LoRA {self.name}: {self.matched} of {self.modules} modules fit this model"
        if not self.left_out:
            return words
        first, *others = self.left_out
        return f"{words}; left out: {first}" + (f" and {len(others)} more" if others else "")


@dataclass
class LoraFile:
    """The tensors of one file, read when they are asked for."""

    use: LoraUse
    stamp: Stamp
    keys: LoraKeys
    tensors: Mapping[str, Tensor]
    """Views of the mapped file."""
    adapter: Mapping[str, object] = field(default_factory=dict)
    """peft's settings, where diffusers wrote the file."""
    targets: dict[Target, list[str]] = field(default_factory=dict)
    """Which modules of the file change a module of the model."""
    embeddings: dict[str, list[Tensor]] = field(default_factory=dict)
    """Those of its embeddings that the model can use: name -> vectors for each text encoder."""
    left_out: list[str] = field(default_factory=list)

    def match(self, modules: Modules, model: Model) -> Match:
        """Find the places of everything in the file. Raises LoraError if the model has none."""
        for module in self.keys.modules:
            target = modules.find(module)
            if target is None:
                self.left_out.append(module)
            else:
                self.targets.setdefault(target, []).append(module)
        name, every, missing = self.use.name, len(self.keys.modules), len(self.left_out)
        self._take_embeddings(model)
        if not every and not self.keys.embeddings:
            raise LoraError(f"The LoRA “{name}” holds nothing that is understood here")
        if not self.targets and not self.embeddings:
            raise LoraError(
                f"The LoRA “{name}” fits nothing in “{model.name}”: it is for another kind of "
                f"model (none of its {every} modules is in this one, the first is "
                f"{self.left_out[0]})"
            )
        left_out = (*self.left_out, *self.keys.unknown)
        return Match(name, every - missing, every, left_out, tuple(self.embeddings))

    def _take_embeddings(self, model: Model) -> None:
        for name, keys in self.keys.embeddings.items():
            tensors = {key: self.tensors[place] for key, place in keys.items()}
            try:
                self.embeddings[name] = [one.clone() for one in fit(name, tensors, model)]
            except EmbeddingError:
                self.left_out.append(f"embedding {name}")

    def module(self, name: str) -> dict[str, Tensor]:
        """The tensors of one of its modules by parameter. Raises LoraError if one is not finite."""
        found = {parameter: self.tensors[key] for parameter, key in self.keys.modules[name].items()}
        if not all(bool(torch.isfinite(tensor.float()).all()) for tensor in found.values()):
            raise LoraError(
                f"The LoRA “{self.use.name}” is damaged or its training failed: it holds values "
                f"that are not numbers (in {name})"
            )
        return found

    def scale(self, name: str, tensors: Mapping[str, Tensor]) -> float | None:
        """alpha / rank by peft's settings; None where the file has an alpha, or nothing tells."""
        if not self.adapter or "alpha" in tensors or "down" not in tensors:
            return None
        return peft_scale(self.adapter, name, len(tensors["down"]))


def open_lora(use: LoraUse) -> LoraFile:
    """Open a file; nothing in it is executed. Raises LoraError."""
    name, metadata = use.name, dict[str, str]()
    try:
        stamp = Stamp.of(use.path)
        if use.path.suffix.lower() in PICKLES:
            tensors = _unpickled(use.path)
        else:
            metadata = read_header(use.path).metadata
            tensors = mapped_tensors(use.path)
    except OSError as error:
        why = error.strerror or error
        raise LoraError(f"The LoRA “{name}” cannot be read: {use.path}: {why}") from error
    except (HeaderError, RuntimeError) as error:
        raise LoraError(f"The LoRA “{name}” cannot be read: {error}") from error
    adapter = _adapter(metadata.get("lora_adapter_metadata", ""))
    return LoraFile(use, stamp, sort_keys(tensors), tensors, adapter)


def _unpickled(path: Path) -> dict[str, Tensor]:
    try:
        return pickled_tensors(path)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a made-up pickle can fail in any way
        raise HeaderError(f"{path.name} is damaged; download it again") from error


def _adapter(text: str) -> Mapping[str, object]:
    try:
        settings = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return settings if isinstance(settings, dict) else {}
