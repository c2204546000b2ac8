"""LoRAs in a model: their changes are merged into fresh weights, the model's own stay untouched.

Nothing is computed per step, every algorithm works, and taking a LoRA out again is putting the
old tensors back: the pictures afterwards are those of before, bit for bit. Only modules that a
LoRA changes have fresh weights; on a GPU their own ones wait in the computer's memory meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sdtui.formats.lora_keys import UNET, Modules, Target
from sdtui.library.stamp import Stamp

from .deltas import Misfit, bias_delta, delta
from .device import trim_heap
from .load import Model
from .lora_file import LoraError, LoraFile, LoraUse, Match, open_lora

__all__ = ["LoraError", "LoraPatcher", "LoraUse", "Match"]

ToldLora = Callable[[int, int], None]
"""Called with (modules done, modules in all); may raise to cancel."""
Applied = tuple[tuple[Stamp, float, float, int | None], ...]


class LoraPatcher:
    """Puts LoRAs into one model and takes them out again."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._modules: Modules | None = None
        self._applied: Applied = ()
        self._matches: list[Match] = []
        self._own: dict[tuple[Target, str], Tensor] = {}
        """The model's own tensors of modules that were ever changed."""
        self._changed: list[tuple[Target, str]] = []
        self.embeddings: dict[str, list[Tensor]] = {}
        """Embeddings that came with the LoRAs in force, for `text.TextOptions`."""

    def apply(self, uses: Sequence[LoraUse], told: ToldLora = lambda done, of: None) -> list[Match]:
        """Make the model one with exactly these LoRAs; how well each fits.

        Their order does not matter, one that is named twice acts with the sum, and 0 is off. What
        is in force already is not computed again. When anything is raised the model is its own.

        Raises:
            LoraError: a file cannot be read, or is for another kind of model.
            Whatever `told` raises.
        """
        try:
            self._apply([open_lora(use) for use in uses], told)
        except BaseException:
            self.restore()
            raise
        return self._matches

    def _apply(self, files: list[LoraFile], told: ToldLora) -> None:
        files.sort(key=lambda file: (str(file.use.path), file.use.te, file.use.unet))
        applied = tuple((file.stamp, file.use.te, file.use.unet, file.use.dyn) for file in files)
        if applied == self._applied:
            return
        self.restore()
        self._matches = [file.match(self._known(), self._model) for file in files]
        self._merge(files, told)
        trim_heap()
        for file in files:
            self.embeddings |= file.embeddings
        self._applied = applied

    @property
    def size_bytes(self) -> int:
        """Memory that the model's own tensors take beside the fresh ones in their place."""
        return sum(self._own[key].nbytes for key in self._changed)

    def restore(self) -> None:
        """The model's own weights again, and no embeddings."""
        changed = bool(self._changed)
        for target, name in self._changed:
            parameter = getattr(self._module(target), name)
            parameter.data = self._own[target, name].to(parameter.device)
        self._changed, self._applied, self._matches, self.embeddings = [], (), [], {}
        if changed:
            trim_heap()

    def _known(self) -> Modules:
        if self._modules is None:
            encoders = [_paths(encoder) for encoder in self._model.text_encoders]
            self._modules = Modules(_paths(self._model.unet), encoders)
        return self._modules

    def _module(self, target: Target) -> Any:
        part, path = target
        whole: nn.Module = self._model.unet if part == UNET else self._model.text_encoders[part]
        return whole.get_submodule(path)

    @torch.no_grad()
    def _merge(self, files: Sequence[LoraFile], told: ToldLora) -> None:
        work: dict[Target, list[tuple[LoraFile, str, float]]] = {}
        for file in files:
            for target, names in file.targets.items():
                if strength := file.use.unet if target[0] == UNET else file.use.te:
                    work.setdefault(target, []).extend((file, name, strength) for name in names)
        for done, (target, changes) in enumerate(work.items()):
            told(done, len(work))
            self._change(target, changes)
        told(len(work), len(work))

    def _change(self, target: Target, changes: list[tuple[LoraFile, str, float]]) -> None:
        """Give one module fresh weights: its own plus what each file adds."""
        module = self._module(target)
        weight, bias = module.weight.data, getattr(module, "bias", None)
        bias = None if bias is None else bias.data
        fresh: dict[str, Tensor] = {}
        for file, name, strength in changes:
            tensors = file.module(name)
            try:
                added = {
                    "weight": delta(tensors, weight, file.scale(name, tensors), file.use.dyn),
                    "bias": bias_delta(tensors, bias),
                }
            except Misfit as error:
                raise LoraError(
                    f"The LoRA “{file.use.name}” does not fit “{self._model.name}”: it was made "
                    f"for another kind of model (at {name}: {error})"
                ) from error
            for kind, one in added.items():
                if one is not None:
                    before = fresh[kind] if kind in fresh else getattr(module, kind).data
                    fresh[kind] = before.add(one, alpha=strength)  # half + float32 is float32
        for kind, tensor in fresh.items():
            parameter = getattr(module, kind)
            if (target, kind) not in self._own:
                self._own[target, kind] = parameter.data.cpu()
            self._changed.append((target, kind))
            parameter.data = tensor.to(parameter.dtype)


def _paths(part: nn.Module) -> Iterator[str]:
    """The modules that have weights of their own."""
    return (
        path for path, module in part.named_modules()
        if isinstance(getattr(module, "weight", None), nn.Parameter)
    )  # fmt: skip
