"""`sdtui models [KIND]` and `sdtui trust FILE`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from sdtui.formats.header import HeaderError
from sdtui.library import catalog, hashes
from sdtui.library.model_files import ModelFile
from sdtui.library.places import Places, find_places
from sdtui.library.trust import trust

from . import DONE, UsageProblem, print_json
from .lines import escaped, print_pairs

KINDS = ("checkpoint", "lora", "vae", "embedding", "upscaler", "text encoder")


def run(arguments: argparse.Namespace) -> int:
    places = find_places(arguments.home)
    if arguments.command == "trust":
        return _trust(places, [Path(name) for name in arguments.files])
    asked = [kind for kind in KINDS if arguments.kind in (None, kind.replace(" ", "-"))]
    found = [(kind, one) for kind in asked for one in _listed(places, kind)]
    rows = [_row(kind, one) for kind, one in found]
    if arguments.hashes:
        _hash(places, rows)
    if arguments.json:
        print_json(rows)
    elif rows:
        print_pairs((row["name"], _line(row)) for row in rows)
    else:
        print(f"there are none yet; they belong into {places.models}")
    return DONE


def _listed(places: Places, kind: str) -> list[catalog.Checkpoint] | list[ModelFile]:
    return catalog.checkpoints(places) if kind == "checkpoint" else catalog.models(places, kind)


def _row(kind: str, one: catalog.Checkpoint | ModelFile) -> dict[str, Any]:
    return {
        "name": one.name, "kind": kind, "is": one.said, "path": str(one.path),
        "base": one.family if isinstance(one, catalog.Checkpoint) else one.kind.base,
        "variant": one.kind.variant, "prediction": one.kind.prediction, "problem": one.problem,
    }  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    digits = [row[name] for name in ("autov2", "autov3", "old_hash") if row.get(name)]
    return f"{row['problem'] or row['is']}  {' '.join(digits)}".rstrip()


def _hash(places: Places, rows: list[dict[str, Any]]) -> None:
    """Put the hashes into the rows; what is computed is kept, and told meanwhile."""
    for number, row in enumerate(rows, 1):
        path = hashes.hashed_file(Path(row["path"]))
        if hashes.known_hash(places, path) is None:
            print(f"hashing {number} of {len(rows)}: {escaped(row['name'])}", file=sys.stderr)
        try:
            row["autov2"] = hashes.model_hash(places, path)[: hashes.SHORT]
            row["old_hash"] = hashes.old_hash(path)
            if row["kind"] == "lora":
                row["autov3"] = hashes.data_hash(places, path)[: hashes.LORA_SHORT]
        except (OSError, HeaderError) as error:
            row["problem"] = row["problem"] or str(error)


def _trust(places: Places, files: list[Path]) -> int:
    for file in files:
        if not file.is_file():
            raise UsageProblem(f"there is no file {file}")
    for file in files:
        trust(places, file)
        print(f"{file} may be read")
    return DONE
