"""From the command line's words to a validated parameter set."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import Any

from sdtui.library import catalog, presets
from sdtui.library.places import Places
from sdtui.params.base import ParamError, ParamSpec, nearest, specs
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Settings

from . import UsageProblem

YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
MAX_PROMPT_BYTES = 100_000
"""Of a prompt that is read from standard input."""


def params_of(arguments: argparse.Namespace, places: Places) -> GenerateParams:
    """What `sdtui generate` is to make. Raises UsageProblem with a sentence per wrong value."""
    try:
        return settings_of(arguments, places).params()
    except (ParamError, presets.PresetError, catalog.CatalogError) as error:
        raise UsageProblem(str(error)) from error


def settings_of(arguments: argparse.Namespace, places: Places) -> Settings[GenerateParams]:
    """Default < model < --preset, else the one bound to the checkpoint < --set, -n and the prompt.

    Raises UsageProblem, PresetError, CatalogError.
    """
    edits = dict(parse_set(text) for text in arguments.values)
    if arguments.prompt is not None:
        edits["prompt"] = _prompt(arguments.prompt)
    if arguments.negative is not None:
        edits["negative_prompt"] = _text(arguments.negative)
    chosen = presets.find(places, arguments.preset) if arguments.preset else None
    in_preset = chosen.values.get("checkpoint") if chosen else None
    default = specs(GenerateParams)["checkpoint"].default
    checkpoint = catalog.find(places, str(edits.get("checkpoint") or in_preset or default))
    chosen = chosen or presets.bound_to(presets.load_all(places)[0], checkpoint.name)

    settings: Settings[GenerateParams] = Settings(GenerateParams)
    settings = settings.with_layer(catalog.model_layer(checkpoint), over="model")
    # The prompt goes in first, for the preset's prefix and suffix; other edits lie over the preset.
    prompt = edits.pop("prompt", None)
    settings = settings.edit(prompt=prompt or "")
    if chosen:
        own = {k: v for k, v in chosen.values.items() if k != "prompt" or prompt is None}
        settings = presets.apply(replace(chosen, values=own), settings)
    if prompt is None and not settings.value("prompt"):
        raise UsageProblem('there is no prompt: sdtui generate "a cat", or - to read it from stdin')
    return settings.edit(**{**edits, "checkpoint": checkpoint.name, **_counts(arguments.n, edits)})


def parse_set(text: str) -> tuple[str, Any]:
    """“steps=30” as ("steps", 30). Raises UsageProblem naming the key and the nearest right one."""
    name, equals, raw = text.partition("=")
    name = name.strip()
    known = specs(GenerateParams)
    if not equals:
        raise UsageProblem(f"--set {text}: write it as key=value")
    if name not in known:
        like = nearest(name, tuple(known))
        hint = f"did you mean “{like}”?" if like else "`sdtui params` lists them"
        raise UsageProblem(f"--set: unknown key “{name}”; {hint}")
    return name, _value(known[name], raw)


def _value(spec: ParamSpec, raw: str) -> Any:
    try:
        if spec.kind == "int":
            return int(raw)
        if spec.kind == "float":
            return float(raw)
    except ValueError:
        expected = "a whole number" if spec.kind == "int" else "a number"
        raise UsageProblem(f"--set: {spec.name} {raw!r} must be {expected}") from None
    if spec.kind == "bool":
        if raw.casefold() not in YES + NO:
            raise UsageProblem(f"--set: {spec.name} {raw!r} must be true or false")
        return raw.casefold() in YES
    return _text(raw)


def _prompt(text: str) -> str:
    if text != "-":
        return _text(text)
    try:
        return sys.stdin.buffer.read(MAX_PROMPT_BYTES).decode().strip()
    except UnicodeDecodeError:
        raise UsageProblem("the prompt on standard input is not UTF-8 text") from None


def _text(word: str) -> str:
    """A word of the command line; it is UTF-8 even where the locale is not."""
    try:
        return os.fsencode(word).decode()
    except UnicodeDecodeError:
        raise UsageProblem(f"{word!r} is not UTF-8 text") from None


def _counts(n: int | None, edits: dict[str, Any]) -> dict[str, int]:
    """-n as batch count, of the batch size that was asked for beside it (else 1)."""
    if n is None:
        return {}
    size = max(1, int(edits.get("batch_size", 1)))
    if n < 1:
        raise UsageProblem(f"-n {n}: at least one picture")
    if n % size:
        raise UsageProblem(f"-n {n}: give a multiple of the batch size, {size}")
    return {"batch_size": int(edits.get("batch_size", 1)), "batch_count": n // size}
