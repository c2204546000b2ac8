"""From the command line's words to a validated parameter set."""

from __future__ import annotations

import argparse
from typing import Any

from sdtui.library import catalog, presets
from sdtui.library.places import Places
from sdtui.params.base import ParamError, nearest, specs
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Settings

from . import UsageProblem

YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


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
    kind = known[name].kind
    try:
        if kind == "int":
            return name, int(raw)
        if kind == "float":
            return name, float(raw)
    except ValueError:
        whole = "a whole number" if kind == "int" else "a number"
        raise UsageProblem(f"--set: {name} {raw!r} must be {whole}") from None
    if kind == "bool":
        if raw.casefold() not in YES + NO:
            raise UsageProblem(f"--set: {name} {raw!r} must be true or false")
        return name, raw.casefold() in YES
    return name, raw


def settings_of(arguments: argparse.Namespace, places: Places) -> Settings[GenerateParams]:
    """Default < model < the checkpoint's bound preset or --preset < --set and the prompt.

    Raises UsageProblem.
    """
    edits = dict(parse_set(text) for text in arguments.values)
    known, problems = presets.load_all(places)
    chosen = None
    if arguments.preset:
        try:
            chosen = presets.find(places, arguments.preset)
        except presets.PresetError as error:
            raise UsageProblem(str(error)) from None
    asked = edits.get("checkpoint") or (chosen.values.get("checkpoint") if chosen else None)
    name = str(asked or specs(GenerateParams)["checkpoint"].default)
    try:
        checkpoint = catalog.find(places, name)
    except catalog.UnknownCheckpoint as error:
        raise UsageProblem(str(error)) from None
    settings: Settings[GenerateParams] = Settings(GenerateParams)
    settings = settings.with_layer(catalog.model_layer(checkpoint), over="model")
    chosen = chosen or presets.bound_to(known, checkpoint.name)
    settings = settings.edit(checkpoint=checkpoint.name, prompt=arguments.prompt)
    if chosen:
        settings = presets.apply(chosen, settings)
    if arguments.negative is not None:
        edits["negative_prompt"] = arguments.negative
    if arguments.n is not None:
        if arguments.n < 1:
            raise UsageProblem(f"-n {arguments.n}: at least one picture")
        edits["batch_count"], edits["batch_size"] = arguments.n, edits.get("batch_size", 1)
        if edits["batch_size"] != 1 and arguments.n % edits["batch_size"]:
            raise UsageProblem("-n must be a multiple of batch_size")
        edits["batch_count"] = arguments.n // edits["batch_size"]
    return settings.edit(**edits)


def validated(settings: Settings[GenerateParams]) -> GenerateParams:
    """Raises UsageProblem with a sentence for each wrong value."""
    try:
        return settings.params()
    except ParamError as error:
        raise UsageProblem(str(error)) from None


