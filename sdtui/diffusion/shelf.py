"""The models in memory: the one in use, and others as far as the person's budget goes.

Going back to a model that is kept reads no disk. Before a model is used its files are looked at:
what was overwritten in place is dropped (its pages have changed under it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from sdtui.library.stamp import Stamp

from .device import give_memory_back
from .load import Model
from .lora import LoraPatcher


class Wanted(NamedTuple):
    """What makes one model in memory differ from another."""

    checkpoint: Path
    vae: Path | None = None
    text: Path | None = None


@dataclass
class Kept:
    """A model in memory and what was computed for it once."""

    model: Model
    factors: Tensor
    """Of its previews."""

    def __post_init__(self) -> None:
        self.loras = LoraPatcher(self.model)

    @property
    def size_bytes(self) -> int:
        modules = (self.model.unet, self.model.vae, *self.model.text_encoders)
        return self.loras.size_bytes + sum(
            tensor.numel() * tensor.element_size()
            for module in modules
            for tensor in module.state_dict().values()
        )


class Shelf:
    """Models by what they were made from, the one used last at the end."""

    def __init__(self) -> None:
        self._kept: dict[Wanted, Kept] = {}
        self.current: Kept | None = None

    def take(self, wanted: Wanted, notice: Callable[[str], None]) -> Kept | None:
        """The model if it is here and its files are what they were; it becomes the current one."""
        kept = self._kept.pop(wanted, None)
        if kept is None:
            return None
        changed = [one for one in kept.model.stamps if not one.same and not one.gone]
        if changed:
            if any(one.overwritten for one in changed):
                notice(f"{changed[0].path.name} was overwritten; it is loaded again")
            self.current = None
            return None
        self._kept[wanted] = self.current = kept
        return kept

    def named(self, name: str) -> Wanted | None:
        """What the kept model of that name was made from: for one whose file is gone."""
        return next((key for key, kept in self._kept.items() if kept.model.name == name), None)

    def make_room(self, budget_bytes: int) -> None:
        """Drop the longest unused models until the others take at most the budget."""
        self.current = None
        dropped = False
        while self._kept and sum(one.size_bytes for one in self._kept.values()) > budget_bytes:
            del self._kept[next(iter(self._kept))]
            dropped = True
        if dropped:
            give_memory_back()

    def put(self, wanted: Wanted, kept: Kept) -> None:
        """A new model, which becomes the current one."""
        self._kept[wanted] = self.current = kept

    @property
    def stamps(self) -> list[Stamp]:
        """The files that the models here may read."""
        return [stamp for kept in self._kept.values() for stamp in kept.model.stamps]

    def clear(self) -> None:
        """Give all memory back."""
        self._kept.clear()
        self.current = None
        give_memory_back()
