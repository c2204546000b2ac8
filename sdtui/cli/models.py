"""`sdtui models [KIND]` and `sdtui trust FILE`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sdtui.library import catalog
from sdtui.library.places import Places, find_places
from sdtui.library.trust import trust

from . import DONE, UsageProblem, print_json
from .lines import print_pairs

KINDS = ("checkpoint", "lora", "vae", "embedding", "upscaler", "text encoder")


def run(arguments: argparse.Namespace) -> int:
    places = find_places(arguments.home)
    if arguments.command == "trust":
        return _trust(places, [Path(name) for name in arguments.files])
    asked = [kind for kind in KINDS if arguments.kind in (None, kind.replace(" ", "-"))]
    found = [one for kind in asked for one in _listed(places, kind)]
    if arguments.json:
        print_json(found)
    elif found:
        print_pairs((one["name"], one["problem"] or one["is"]) for one in found)
    else:
        print(f"there are none yet; they belong into {places.models}")
    return DONE


def _listed(places: Places, kind: str) -> list[dict[str, Any]]:
    if kind == "checkpoint":
        return [
            {"name": one.name, "kind": kind, "base": one.family, "is": one.said,
             "variant": one.kind.variant, "prediction": one.kind.prediction,
             "path": str(one.path), "problem": one.problem}
            for one in catalog.checkpoints(places)
        ]  # fmt: skip
    return [
        {"name": one.name, "kind": kind, "base": one.kind.base, "is": one.kind.said,
         "variant": one.kind.variant, "prediction": one.kind.prediction,
         "path": str(one.path), "problem": one.problem}
        for one in catalog.models(places, kind)
    ]  # fmt: skip


def _trust(places: Places, files: list[Path]) -> int:
    for file in files:
        if not file.is_file():
            raise UsageProblem(f"there is no file {file}")
    for file in files:
        trust(places, file)
        print(f"{file} may be read")
    return DONE
