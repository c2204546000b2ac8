"""A parameter's value for people: how it is written, stepped, typed, and where it came from."""

from __future__ import annotations

from typing import Any

from sdtui.params.base import ParamError, ParamSpec, Problem
from sdtui.params.layers import DEFAULT, EDIT, Settings


def shown(spec: ParamSpec, value: Any) -> str:
    """A value as the form writes it."""
    if spec.kind == "bool":
        return "yes" if value else "no"
    if spec.name == "seed" and value == -1:
        return "new each time"
    text = f"{value:g}" if spec.kind == "float" else str(value)
    return f"{text} {spec.unit}".strip()


def stepped(spec: ParamSpec, value: Any, by: int, *, big: bool, choices: list[str]) -> Any:
    """The value after `by` presses of an arrow key, held within the range."""
    if spec.kind == "bool":
        return not value
    if choices:
        at = choices.index(value) if value in choices else -by
        return choices[(at + by) % len(choices)]
    if spec.kind not in ("int", "float"):
        return value
    step = (spec.big_step if big else None) or spec.step or 1
    grain = step if spec.multiple_of else 0
    new = value + by * step
    if grain and value % grain:  # from 500 up to 504, not to 508
        new = (value // grain + (by > 0)) * grain
    if spec.minimum is not None and spec.maximum is not None:
        new = min(max(new, spec.minimum), spec.maximum)
    return int(new) if spec.kind == "int" else round(float(new), 6)


def range_of(spec: ParamSpec) -> str:
    if spec.minimum is None or spec.maximum is None:
        return ""
    number = ".0f" if spec.kind == "int" else "g"
    unit = f" {spec.unit}" if spec.unit else ""
    return f"{spec.minimum:{number}} to {spec.maximum:{number}}{unit}."


def origin(spec: ParamSpec, settings: Settings[Any]) -> str:
    """“Set by you; preset Draft has 8.”"""
    source = settings.source(spec.name)
    below = settings.without_edit(spec.name)
    if source == EDIT:
        where = below.source(spec.name)
        return f"Set by you; {where} has {shown(spec, below.value(spec.name))}."
    return "The default." if source == DEFAULT else f"From {source}."


def parsed(spec: ParamSpec, text: str) -> Any:
    """What was typed, as the field's type. Raises ParamError."""
    text = text.strip()
    try:
        if spec.kind == "int":
            return int(text or "")
        if spec.kind == "float":
            return float(text.replace(",", "."))
    except ValueError:
        whole = "a whole number" if spec.kind == "int" else "a number"
        message = f"{spec.label} {text!r} is not {whole}"
        raise ParamError([Problem(spec.name, message)]) from None
    return text
