"""Model files of every kind as they are offered: what each is, and why one cannot be used."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sdtui.formats.model_kind import ModelKind
from sdtui.params.base import nearest

from . import model_folders
from .kind_cache import described, keep
from .places import Places
from .trust import is_trusted

FOLDER_WORDS = {"lora": "loras", "vae": "VAE", "embedding": "embeddings",
                "upscaler": "upscale_models", "text encoder": "text_encoders"}  # fmt: skip


class CatalogError(ValueError):
    """A checkpoint that cannot be used as it is; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of any kind, as it is offered."""

    name: str
    """Unique among its kind: the file's name without ending, or with its sub-folder."""
    path: Path
    kind: ModelKind
    problem: str = ""
    """Why it cannot be used, as a sentence."""

    @property
    def said(self) -> str:
        """What it is, in words."""
        return self.kind.said


def models(places: Places, kind: str) -> list[ModelFile]:
    """The models of a kind (lora, vae, embedding, upscaler, text encoder) by name.

    What lies in the folder of the kind, and loose files of that kind in models/. A file that turns
    out to be something else is listed with a `problem`. Raises ConfigError.
    """
    placed = model_folders.search(places, kind)
    lying_about = model_folders.loose(places)
    loose = [one for one in lying_about if described(places, one.path)[0].kind == kind]
    found = []
    for name, one in named([*placed, *loose]).items():
        what, problem = described(places, one.path)
        problem = problem or not_allowed(places, one.path, what)
        if not problem and what.kind != kind and not (kind == "vae" and "vae" in what.parts):
            problem = f"{one.path.name} is not a {kind}: {what.said}"
        found.append(ModelFile(name, one.path, what, problem))
    keep(places)
    return sorted(found, key=lambda file: file.name.casefold())


def find_model(places: Places, kind: str, name: str) -> ModelFile:
    """The model of `kind` called `name`. Raises CatalogError, which names the nearest."""
    known = {file.name: file for file in models(places, kind)}
    found = known.get(bare(name)) or _by_stem(known, name)
    if found is None:
        like = nearest(name, tuple(known))
        folder = places.models / FOLDER_WORDS.get(kind, kind)
        hint = f"did you mean “{like}”?" if like else f"put its file into {folder}"
        raise CatalogError(f"there is no {kind.replace('vae', 'VAE')} “{name}”; {hint}")
    if found.problem:
        raise CatalogError(found.problem)
    return found


def _by_stem(known: dict[str, ModelFile], name: str) -> ModelFile | None:
    """By the file's name alone, where that is not the name it is listed under."""
    return next((file for file in known.values() if file.path.stem == bare(name)), None)


def bare(name: str) -> str:
    path = Path(name)
    return name.removesuffix(path.suffix) if path.suffix in model_folders.SUFFIXES else name


def named(found: Iterable[model_folders.Found]) -> dict[str, model_folders.Found]:
    """By name; files of the same name in several places are told apart by their sub-folder."""
    files: dict[str, model_folders.Found] = {}
    for one in found:
        for name in (one.name, one.shown, str(one.path)):
            if name not in files:
                files[name] = one
                break
    return files


def not_allowed(places: Places, path: Path, kind: ModelKind) -> str:
    """Why a pickle is not read yet; “” for everything else."""
    if not kind.pickle or is_trusted(places, path):
        return ""
    return (
        f"{path.name} is a pickle, a format that can carry programs. sdtui runs none of them, but "
        f"asks once: allow this file with `sdtui trust {shlex.quote(str(path))}`"
    )
