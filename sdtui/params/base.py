"""One declaration per parameter, every rendering from it.

A parameter is a field of a frozen pydantic model, declared with `param(...)`. From that one line
come the form row, the CLI `--set` key, the YAML key, the infotext key, validation, help and the
reference page. `specs(Model)` gives the machine-readable description; `explain(error)` turns
pydantic's complaints into sentences for people.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticUndefined

P = TypeVar("P", bound="Params")
Kind = Literal["int", "float", "bool", "choice", "text", "prompt"]


class Params(BaseModel):
    """Base of every parameter set: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """What the screens, the CLI and the files need to know of one parameter."""

    name: str
    label: str
    help: str
    group: str
    kind: Kind
    default: Any
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    """What one press of up/down adds."""
    big_step: float | None = None
    """What shift+up/down or page up/down adds."""
    multiple_of: int | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    choices_from: str = ""
    """Choices known only at run time, e.g. "checkpoints" (the catalog fills them)."""
    infotext: str | None = None
    """AUTOMATIC1111's key for it, if it has one."""
    kohya: str | None = None
    folded: bool = False
    """Shown only when the form is unfolded: right for nearly everybody as it is."""


def param(
    default: Any,
    *,
    label: str,
    help: str,
    group: str,
    minimum: float | None = None,
    maximum: float | None = None,
    step: float | None = None,
    big_step: float | None = None,
    multiple_of: int | None = None,
    unit: str = "",
    choices_from: str = "",
    infotext: str | None = None,
    kohya: str | None = None,
    folded: bool = False,
    prompt: bool = False,
) -> Any:
    """Declare one parameter. `minimum` and `maximum` are inclusive; `help` is one sentence."""
    extra = {
        "group": group,
        "step": step,
        "big_step": big_step,
        "unit": unit,
        "choices_from": choices_from,
        "infotext": infotext,
        "kohya": kohya,
        "folded": folded,
        "prompt": prompt,
    }
    return Field(
        default,
        title=label,
        description=help,
        ge=minimum,
        le=maximum,
        multiple_of=multiple_of,
        json_schema_extra=extra,
    )


def _bound(metadata: list[Any], attribute: str) -> Any:
    for item in metadata:
        if getattr(item, attribute, None) is not None:
            return getattr(item, attribute)
    return None


def _kind(annotation: Any, is_prompt: bool) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(choice) for choice in get_args(annotation))
    if annotation is bool:
        return "bool", ()
    if annotation is int:
        return "int", ()
    if annotation is float:
        return "float", ()
    return ("prompt" if is_prompt else "text"), ()


@cache
def specs(model: type[Params]) -> dict[str, ParamSpec]:
    """The parameters of `model` in declaration order, by name."""
    found: dict[str, ParamSpec] = {}
    for name, info in model.model_fields.items():
        extra: dict[str, Any] = dict(info.json_schema_extra or {})  # type: ignore[arg-type]
        kind, choices = _kind(info.annotation, bool(extra.get("prompt")))
        found[name] = ParamSpec(
            name=name,
            label=info.title or name.replace("_", " "),
            help=info.description or "",
            group=str(extra.get("group") or ""),
            kind=kind,
            default=None if info.default is PydanticUndefined else info.default,
            minimum=_bound(info.metadata, "ge"),
            maximum=_bound(info.metadata, "le"),
            step=extra.get("step") or (1 if kind == "int" else None),
            big_step=extra.get("big_step"),
            multiple_of=_bound(info.metadata, "multiple_of"),
            unit=str(extra.get("unit") or ""),
            choices=choices,
            choices_from=str(extra.get("choices_from") or ""),
            infotext=extra.get("infotext"),
            kohya=extra.get("kohya"),
            folded=bool(extra.get("folded")),
        )
    return found


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str | None:
    """The known word most like `word`, ignoring case, or None when nothing is like it."""
    folded = {name.casefold(): name for name in known}
    hits = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.5)
    return folded[hits[0]] if hits else None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a set of values: which key, what, and what to do about it."""

    key: str
    message: str

    def __str__(self) -> str:
        return self.message


class ParamError(ValueError):
    """Values that cannot be used. `problems` holds one plain sentence for each."""

    def __init__(self, problems: list[Problem], where: str = "") -> None:
        self.problems = problems
        self.where = where
        lead = f"{where}: " if where else ""
        super().__init__("; ".join(lead + problem.message for problem in problems))


def _number(value: float | int | None) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sentence(model: type[Params], error: dict[str, Any]) -> Problem:
    """One pydantic error as a sentence that says what is wrong and what would be right."""
    key = str(error["loc"][0]) if error["loc"] else ""
    value, kind, context = error.get("input"), error["type"], error.get("ctx", {})
    known = specs(model)
    if kind == "extra_forbidden":
        like = nearest(key, tuple(known))
        return Problem(key, f"unknown key “{key}”" + (f"; did you mean “{like}”?" if like else ""))
    spec = known.get(key)
    if spec is None:
        return Problem(key, str(error["msg"]))
    shown = f"{key} {value!r}" if isinstance(value, str) else f"{key} {_number(value)}"
    if kind == "literal_error":
        like = nearest(str(value), spec.choices)
        hint = f"did you mean “{like}”?" if like else f"one of: {', '.join(spec.choices)}"
        return Problem(key, f"{shown} is not known; {hint}")
    if kind == "greater_than_equal":
        return Problem(key, f"{shown} is too small: the least is {_number(spec.minimum)}")
    if kind == "less_than_equal":
        return Problem(key, f"{shown} is too large: the most is {_number(spec.maximum)}")
    if kind == "multiple_of":
        grain = int(context.get("multiple_of", spec.multiple_of or 1))
        if spec.maximum is not None and value > spec.maximum:
            return Problem(key, f"{shown} is too large: the most is {_number(spec.maximum)}")
        if spec.minimum is not None and value < spec.minimum:
            return Problem(key, f"{shown} is too small: the least is {_number(spec.minimum)}")
        below = int(value) // grain * grain
        fits = [str(size) for size in (below, below + grain)]
        return Problem(key, f"{shown} is not a multiple of {grain}: use {' or '.join(fits)}")
    expected = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "text": "text",
        "prompt": "text",
        "choice": f"one of: {', '.join(spec.choices)}",
    }[spec.kind]
    return Problem(key, f"{shown} must be {expected}")


def explain(model: type[Params], error: ValidationError) -> list[Problem]:
    """Every complaint of `error` as a plain sentence, in the order of the values."""
    return [_sentence(model, dict(item)) for item in error.errors()]


def build(model: type[P], values: dict[str, Any], where: str = "") -> P:
    """Make `model` from `values`.

    Raises:
        ParamError: a key or value is wrong; the message names `where` (a file, "--set"), the key
            and the nearest right one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamError(explain(model, error), where) from None
