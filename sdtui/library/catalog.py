"""The checkpoints that can be chosen, and what suits each. Reads configs and headers, no torch.

A diffusers folder may hold `sdtui.yaml` beside its model_index.json: values that suit this model,
as a plain list of parameters (`width: 192`, `steps: 20`). Written by hand, so it is read strictly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdtui import demo
from sdtui.formats.header import HeaderError
from sdtui.formats.model_kind import UNKNOWN, ModelKind, what_is
from sdtui.params.base import ParamError, build, nearest
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Layer

from .places import Places
from .strict_yaml import YamlError, read_mapping

FOLDERS = ("", "checkpoints", "Stable-diffusion")
"""Where checkpoints lie below models/ (ComfyUI's and A1111's names work too)."""
NATIVE_SIZE = {"sd15": 512, "sd2": 768, "sdxl": 1024}


SETTINGS_FILE = "sdtui.yaml"
NOT_OF_A_MODEL = ("prompt", "checkpoint", "seed", "folder_pattern", "filename_pattern")
"""Parameters that are a person's choice and never a model's."""


class CatalogError(ValueError):
    """A checkpoint that cannot be used as it is; the message says why and what to do."""


class UnknownCheckpoint(CatalogError):
    """No checkpoint of that name; the message names the nearest."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One model that can draw."""

    name: str
    path: Path
    """A diffusers folder or a .safetensors file."""
    family: str
    """sd15, sd2, sdxl, demo, or unknown."""
    native_size: int
    """Pixels of one side of the pictures it was trained on."""
    kind: ModelKind = UNKNOWN
    """Of a single file."""
    problem: str = ""
    """Why it cannot be loaded, as a sentence; “” when nothing is known against it."""


def checkpoints(places: Places) -> list[Checkpoint]:
    """The demo model first, then the person's own by name."""
    found = {"demo": _folder("demo", demo.model_dir(), "demo")}
    for path in _candidates(places.models):
        entry = _folder(path.name, path) if path.is_dir() else _file(path)
        if entry is not None:
            found.setdefault(entry.name, entry)
    own = sorted((name for name in found if name != "demo"), key=str.casefold)
    return [entry for name in ["demo", *own] if (entry := found[name]) is not None]


def find(places: Places, name: str) -> Checkpoint:
    """The checkpoint called `name` (with or without “.safetensors”). Raises UnknownCheckpoint."""
    known = {entry.name: entry for entry in checkpoints(places)}
    wanted = name.removesuffix(".safetensors")
    if wanted in known:
        return known[wanted]
    like = nearest(wanted, tuple(known))
    hint = f"did you mean “{like}”?" if like else f"put its file into {places.models}/checkpoints"
    raise UnknownCheckpoint(f"there is no checkpoint “{name}”; {hint}")


def model_layer(checkpoint: Checkpoint) -> Layer:
    """What suits this model, to lie between the defaults and the presets.

    The size it was trained on, and what its sdtui.yaml says. Raises CatalogError for a broken one.
    """
    size = checkpoint.native_size
    file = checkpoint.path / SETTINGS_FILE
    own = _own_settings(file) if file.is_file() else {}
    return Layer(f"model {checkpoint.name}", {"width": size, "height": size, **own})


def _own_settings(file: Path) -> dict[str, Any]:
    try:
        values = read_mapping(file)
    except YamlError as error:
        raise CatalogError(str(error)) from None
    for name in NOT_OF_A_MODEL:
        if name in values:
            raise CatalogError(f"{file}: “{name}” is not a model's to set; take the line out")
    try:
        build(GenerateParams, values, str(file))
    except ParamError as error:
        raise CatalogError(str(error)) from None
    return values


def _candidates(models: Path) -> Iterator[Path]:
    for name in FOLDERS:
        folder = models / name
        if not folder.is_dir():
            continue
        pattern = "*" if name == "" else "**/*"
        for path in sorted(folder.glob(pattern)):
            is_model = path.suffix == ".safetensors" or (path / "model_index.json").is_file()
            inside = any((up / "model_index.json").is_file() for up in path.parents)
            if is_model and not inside:
                yield path


def _config(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def vae_factor(folder: Path) -> int:
    """Pixels per latent cell of a diffusers folder: each VAE level but the last halves the size."""
    levels = _config(folder / "vae" / "config.json").get("block_out_channels", [0] * 4)
    return int(2 ** (len(levels) - 1))


def _folder(name: str, path: Path, family: str = "") -> Checkpoint | None:
    unet = _config(path / "unet" / "config.json")
    if not unet:
        return None
    size = int(unet.get("sample_size") or 64) * vae_factor(path)
    width = int(unet.get("cross_attention_dim") or 0)
    known = {768: "sd15", 1024: "sd2", 2048: "sdxl"}.get(width, "unknown")
    return Checkpoint(name, path, family or known, size)


def _file(path: Path) -> Checkpoint | None:
    """A broken file is listed all the same: choosing it says what is wrong."""
    try:
        kind = what_is(path)
    except HeaderError as error:
        return Checkpoint(path.stem, path, "unknown", 512, problem=str(error))
    except OSError as error:
        return Checkpoint(path.stem, path, "unknown", 512, problem=f"{path}: {error.strerror}")
    if kind.kind != "checkpoint":
        problem = f"{path.name} is not a checkpoint: {kind.said}"
        return Checkpoint(path.stem, path, "unknown", 512, kind, problem)
    return Checkpoint(path.stem, path, kind.base, NATIVE_SIZE.get(kind.base, 512), kind)
