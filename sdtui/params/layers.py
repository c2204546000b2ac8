"""Values in layers: default < model < preset < edits, and where each one came from.

A screen or the CLI holds one `Settings`. It never changes; every edit gives a new one. Fields a
layer leaves out shine through from below, so a preset may carry three values or thirty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from .base import Params, build, specs

P = TypeVar("P", bound=Params)

EDIT = "you"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Layer:
    """Some values and the words that tell where they come from (“preset Draft”)."""

    source: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff."""

    name: str
    old: Any
    new: Any
    source: str = ""
    """Where the old value came from."""


@dataclass(frozen=True)
class Settings(Generic[P]):
    """Layers, lowest first, over the defaults of `model`; edits lie on top of all of them."""

    model: type[P]
    layers: tuple[Layer, ...] = ()
    edits: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """The value in force. Raises KeyError for a name the schema does not have."""
        if name in self.edits:
            return self.edits[name]
        for layer in reversed(self.layers):
            if name in layer.values:
                return layer.values[name]
        return specs(self.model)[name].default

    def source(self, name: str) -> str:
        """Where the value in force came from: “default”, a layer's words, or “you”."""
        if name in self.edits:
            return EDIT
        for layer in reversed(self.layers):
            if name in layer.values:
                return layer.source
        return DEFAULT

    def values(self) -> dict[str, Any]:
        """Every value in force, in the order of the schema."""
        return {name: self.value(name) for name in specs(self.model)}

    def edit(self, **values: Any) -> Settings[P]:
        """With these values set by hand; an edit equal to what lies below it is dropped."""
        below = replace(self, edits={})
        merged = {**self.edits, **values}
        kept = {name: value for name, value in merged.items() if value != below.value(name)}
        return replace(self, edits=kept)

    def without_edit(self, name: str) -> Settings[P]:
        """Back to the value below the edit."""
        return replace(self, edits={key: value for key, value in self.edits.items() if key != name})

    def with_layer(self, layer: Layer, *, over: str) -> Settings[P]:
        """Put `layer` on top, in place of the one whose source starts with `over` (e.g. “preset”).

        Edits of the fields that the layer sets give way: what a person just asked for wins.
        """
        kept = tuple(old for old in self.layers if not old.source.startswith(over))
        edits = {name: value for name, value in self.edits.items() if name not in layer.values}
        if over == "model":  # what suits the model lies lowest
            return replace(self, layers=(layer, *kept), edits=self.edits)
        return replace(self, layers=(*kept, layer), edits=edits)

    def params(self, where: str = "") -> P:
        """The validated parameter set. Raises ParamError."""
        return build(self.model, self.values(), where)

    def differs_from_default(self) -> dict[str, Any]:
        """Only what is not the schema's default: what a preset made of this would hold."""
        return {n: v for n, v in self.values().items() if v != specs(self.model)[n].default}


def diff(old: Settings[P], new: Settings[P]) -> list[Change]:
    """What would change from `old` to `new`, in the order of the schema."""
    return [
        Change(name, old.value(name), new.value(name), old.source(name))
        for name in specs(old.model)
        if old.value(name) != new.value(name)
    ]
