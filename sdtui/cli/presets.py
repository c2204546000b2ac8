"""`sdtui presets [list | show NAME | diff NAME [NAME]]`."""

from __future__ import annotations

import argparse
from typing import Any

from sdtui.library import presets
from sdtui.library.places import Places, find_places
from sdtui.library.presets import Preset
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Settings, diff

from . import DONE, USAGE, UsageProblem, print_json, say_error
from .lines import print_pairs

HOW_MANY = {"list": (0, 0), "show": (1, 1), "diff": (1, 2)}
USE = "use `sdtui presets`, `sdtui presets show NAME` or `sdtui presets diff NAME [NAME]`"


def run(arguments: argparse.Namespace) -> int:
    places = find_places(arguments.home)
    least, most = HOW_MANY[arguments.action]
    if not least <= len(arguments.names) <= most:
        raise UsageProblem(USE)
    if arguments.action == "list":
        return _list(places, arguments.json)
    chosen = [_find(places, name) for name in arguments.names]
    if arguments.action == "show":
        _show(chosen[0], arguments.json)
    else:
        _diff(chosen, arguments.json)
    return DONE


def _find(places: Places, name: str) -> Preset:
    try:
        return presets.find(places, name)
    except presets.PresetError as error:
        raise UsageProblem(str(error)) from None


def _list(places: Places, as_json: bool) -> int:
    """Every usable preset; the broken ones are told on stderr, and by the exit code."""
    found, problems = presets.load_all(places)
    if as_json:
        print_json([_plain(preset) for preset in found])
    else:
        print_pairs((f"{preset.key or ' '}  {preset.name}", _about(preset)) for preset in found)
    for problem in problems:
        say_error(problem, USAGE)
    return USAGE if problems else DONE


def _about(preset: Preset) -> str:
    return preset.about if preset.shipped else f"{preset.about} (your own)".strip()


def _plain(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name, "key": preset.key, "about": preset.about, "shipped": preset.shipped,
        "path": str(preset.path), "checkpoint": preset.checkpoint,
        "prompt_prefix": preset.prompt_prefix, "prompt_suffix": preset.prompt_suffix,
        "values": dict(preset.values),
    }  # fmt: skip


def _show(preset: Preset, as_json: bool) -> None:
    if as_json:
        print_json(_plain(preset))
        return
    told = {name: value for name, value in _plain(preset).items() if name not in ("shipped",)}
    values = told.pop("values")
    print_pairs([(k, v) for k, v in told.items() if v] + list(values.items()))


def _settings(preset: Preset | None) -> Settings[GenerateParams]:
    plain: Settings[GenerateParams] = Settings(GenerateParams)
    return presets.apply(preset, plain) if preset else plain


def _diff(chosen: list[Preset], as_json: bool) -> None:
    """What differs from the first to the second; from the defaults to the only one."""
    old, new = (None, chosen[0]) if len(chosen) == 1 else chosen
    changes = diff(_settings(old), _settings(new))
    if as_json:
        print_json([{"name": c.name, "old": c.old, "new": c.new} for c in changes])
    else:
        print_pairs((change.name, f"{change.old} → {change.new}") for change in changes)
