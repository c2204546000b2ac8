"""The checkpoints that can be chosen, and what suits each. Reads configs and headers, no torch.

A diffusers folder may hold `sdtui.yaml` beside its model_index.json: values that suit this model,
as a plain list of parameters (`width: 192`, `steps: 20`). Written by hand, so it is read strictly.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdtui import demo
from sdtui.formats.model_kind import BASE_WORDS, UNKNOWN, ModelKind
from sdtui.params.base import ParamError, build, nearest
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Layer

from . import model_folders
from .kind_cache import described, keep
from .model_files import (
    CatalogError,
    bare,
    find_model,
    models,
    named,
    not_allowed,
)
from .places import Places
from .strict_yaml import YamlError, read_mapping

AUTOMATIC, OWN = "Automatic", "None"
"""Choices of a VAE that are no file (A1111's words)."""
TITLE_HASH = re.compile(r"\s*\[[0-9a-f]{8,64}\]$")
MAX_SIDECAR = 64 << 10
V_PREDICTION = re.compile(r"""^\s*parameterization:\s*["']?v["']?\s*(#.*)?$""", re.M)
NATIVE_SIZE = {"sd15": 512, "sd2": 768, "sdxl": 1024}


SETTINGS_FILE = "sdtui.yaml"
NOT_OF_A_MODEL = ("prompt", "checkpoint", "seed", "folder_pattern", "filename_pattern")
"""Parameters that are a person's choice and never a model's."""


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

    @property
    def said(self) -> str:
        """What it is, in words."""
        if self.path.is_dir():
            return f"{BASE_WORDS.get(self.family, self.family)} checkpoint, folder"
        return self.kind.said


def checkpoints(places: Places) -> list[Checkpoint]:
    """The demo model first, then the person's own by name. Raises ConfigError."""
    own = [_checkpoint(places, name, one) for name, one in _checkpoint_files(places).items()]
    keep(places)
    kept = sorted((one for one in own if one is not None), key=lambda one: one.name.casefold())
    return [*_demo(), *kept]


def find(places: Places, name: str) -> Checkpoint:
    """The checkpoint called `name` (with or without ending, or “name [hash]”, as A1111 shows it).

    Raises UnknownCheckpoint, ConfigError.
    """
    wanted = bare(TITLE_HASH.sub("", name).strip())
    if wanted == "demo" and (demo_model := _demo()):
        return demo_model[0]
    files = _checkpoint_files(places)
    found = files.get(wanted)
    if found is None:
        found = next((one for one in files.values() if wanted in (one.shown, one.name)), None)
    entry = _checkpoint(places, wanted, found) if found is not None else None
    if entry is not None:
        return entry
    like = nearest(wanted, ("demo", *files))
    hint = f"did you mean “{like}”?" if like else f"put its file into {places.models}/checkpoints"
    raise UnknownCheckpoint(f"there is no checkpoint “{name}”; {hint}")


def _demo() -> list[Checkpoint]:
    found = _folder("demo", demo.model_dir(), "demo")
    return [found] if found else []


def _checkpoint_files(places: Places) -> dict[str, model_folders.Found]:
    loose = [one for one in model_folders.loose(places) if _may_draw(places, one.path)]
    files = named([*loose, *model_folders.search(places, "checkpoint")])
    # “name.vae.safetensors” belongs to its neighbour.
    return {key: one for key, one in files.items() if key != "demo" and not key.endswith(".vae")}


def _may_draw(places: Places, path: Path) -> bool:
    """A loose file is offered as a checkpoint unless it is known to be something else."""
    return path.is_dir() or described(places, path)[0].kind in ("checkpoint", "unknown", "foreign")


def vae_for(places: Places, checkpoint: Checkpoint, choice: str) -> Path | None:
    """The file to take the VAE from; None = the checkpoint's own.

    Automatic: a file of the same name beside the checkpoint, “name.vae.safetensors”, or the one
    that its side-car “name.json” names (A1111's habits). Raises CatalogError, ConfigError.
    """
    if choice == OWN:
        return None
    if choice != AUTOMATIC:
        try:
            return find_model(places, "vae", choice).path
        except CatalogError:
            other = _checkpoint_files(places).get(bare(choice))
            if other is None:
                raise
            return other.path
    beside = checkpoint.path.with_suffix("")
    for suffix in model_folders.SUFFIXES:
        file = beside.with_name(f"{beside.name}.vae{suffix}")
        if checkpoint.path.is_file() and file.is_file():
            return file
    told = _config(checkpoint.path.with_suffix(".json")).get("vae")
    if isinstance(told, str) and told not in ("", AUTOMATIC, OWN):
        return find_model(places, "vae", told).path
    return None


def text_encoder_for(places: Places, choice: str) -> Path | None:
    """The file to take text encoders from; None = the checkpoint's own.

    Raises CatalogError, ConfigError.
    """
    if choice == AUTOMATIC:
        return None
    try:
        return find_model(places, "text encoder", choice).path
    except CatalogError:
        other = _checkpoint_files(places).get(bare(choice))
        if other is None:
            raise
        return other.path


def choices(places: Places, of: str) -> list[str]:
    """What a parameter with `choices_from=of` may be. Raises ConfigError."""
    if of == "checkpoints":
        return [one.name for one in checkpoints(places)]
    if of == "vaes":
        return [AUTOMATIC, OWN, *(one.name for one in models(places, "vae"))]
    if of == "text_encoders":
        return [AUTOMATIC, *(one.name for one in models(places, "text encoder"))]
    raise KeyError(of)


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


def _checkpoint(places: Places, name: str, found: model_folders.Found) -> Checkpoint | None:
    """A broken file is listed all the same: choosing it says what is wrong."""
    path = found.path
    if path.is_dir():
        return _folder(name, path)
    kind, problem = described(places, path)
    problem = problem or not_allowed(places, path, kind)
    if problem or kind.kind != "checkpoint":
        problem = problem or f"{path.name} is not a checkpoint: {kind.said}"
        return Checkpoint(name, path, "unknown", 512, kind, problem)
    kind = _told_beside(path, kind)
    size = NATIVE_SIZE.get(kind.base, 512)
    if kind.base == "sd2" and kind.prediction == "epsilon":
        size = 512  # SD 2's base models; those of 768 pixels predict v
    return Checkpoint(name, path, kind.base, size, kind)


def _told_beside(path: Path, kind: ModelKind) -> ModelKind:
    """v-prediction is often said in a “name.yaml” beside the checkpoint (A1111's configs)."""
    file = path.with_suffix(".yaml")
    try:
        text = file.read_bytes()[:MAX_SIDECAR].decode("utf-8", "replace")
    except OSError:
        return kind
    said = V_PREDICTION.search(text) is not None
    return replace(kind, prediction="v_prediction") if said else kind
