"""`sdtui info IMAGE`: the settings in a picture. `sdtui params`: every parameter there is."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from sdtui.formats.image_info import ImageInfo, ImageInfoError, read
from sdtui.formats.infotext import parse
from sdtui.library.imports import read_infotext
from sdtui.library.places import find_places
from sdtui.params.base import ParamSpec, specs
from sdtui.params.generate import GenerateParams

from . import DONE, FAILED, UsageProblem, print_json, say_error
from .lines import escaped, print_pairs

KINDS = {"int": "whole number", "float": "number", "bool": "true or false", "text": "text",
         "prompt": "text", "choice": "one of"}  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    return _info(arguments) if arguments.command == "info" else _params(arguments)


# -------------------------------------------------------------------------------------- info


def _info(arguments: argparse.Namespace) -> int:
    path = Path(arguments.image).expanduser()
    try:
        found = read(path)
    except FileNotFoundError:
        raise UsageProblem(f"there is no file {path}") from None
    except IsADirectoryError:
        raise UsageProblem(f"{path} is a folder; name a picture in it") from None
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror or error}") from None
    except ImageInfoError as error:
        raise UsageProblem(str(error)) from None
    if not found.infotext:
        texts = f", only texts of other programs: {', '.join(found.other)}" if found.other else ""
        return say_error(f"{path} holds no settings{texts}", FAILED)
    if arguments.json:
        _info_json(arguments, path, found)
    else:
        _info_text(path, found)
    return DONE


def _info_text(path: Path, found: ImageInfo) -> None:
    known = parse(found.infotext)
    file = f"{escaped(path.name)}, {found.width}x{found.height}, {found.format}"
    pairs: list[tuple[str, object]] = [("File", file), ("Prompt", known.prompt)]
    if known.negative_prompt:
        pairs.append(("Negative prompt", known.negative_prompt))
    print_pairs([*pairs, *_sizes_joined(known.params).items()])


def _info_json(arguments: argparse.Namespace, path: Path, found: ImageInfo) -> None:
    known = parse(found.infotext)
    here = read_infotext(find_places(arguments.home), found.infotext)
    print_json({
        "path": str(path), "format": found.format, "width": found.width, "height": found.height,
        "prompt": known.prompt, "negative_prompt": known.negative_prompt,
        "settings": _sizes_joined(known.params), "infotext": found.infotext,
        "values": here.values, "ignored": [asdict(one) for one in here.ignored],
        "other": dict(found.other),
    })  # fmt: skip


def _sizes_joined(params: dict[str, object]) -> dict[str, object]:
    """“Size-1” and “Size-2” as the “Size” that the file says."""
    joined: dict[str, object] = {}
    for key, value in params.items():
        name = key.removesuffix("-1")
        if name != key and f"{name}-2" in params:
            joined[name] = f"{value}x{params[f'{name}-2']}"
        elif key.removesuffix("-2") not in joined or not key.endswith("-2"):
            joined[key] = value
    return joined


# ------------------------------------------------------------------------------------ params


def _params(arguments: argparse.Namespace) -> int:
    known = specs(GenerateParams)
    if arguments.json:
        print_json([asdict(spec) for spec in known.values()])
        return DONE
    blocks = (
        "\n".join([group, *(f"  {one.name}: {_range(one)}\n      {one.help}" for one in members)])
        for group, members in groupby(known.values(), key=lambda spec: spec.group)
    )
    print("\n\n".join(blocks))
    return DONE


def _range(spec: ParamSpec) -> str:
    """What values are possible, and which one is there from the start."""
    kind = KINDS[spec.kind]
    if spec.choices:
        kind = f"{kind} {', '.join(spec.choices)}"
    elif spec.minimum is not None and spec.maximum is not None:
        kind += f" from {spec.minimum:g} to {spec.maximum:.10g}"
    if spec.unit:
        kind += f" {spec.unit}"
    if spec.multiple_of:
        kind += f", a multiple of {spec.multiple_of}"
    default = f"“{spec.default}”" if isinstance(spec.default, str) else json.dumps(spec.default)
    return f"{kind}; default {default}"
