"""Where model files lie: our own folder, and those of AUTOMATIC1111, Forge and ComfyUI in place.

Every kind of model has a folder under several names; sub-folders are searched, hidden files are
not, and a file reached twice by symlinks is listed once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .config import ConfigError, read_config
from .places import Places
from .strict_yaml import YamlError, read_mapping

FOLDERS = {
    "checkpoint": ("checkpoints", "stable-diffusion", "diffusion_models", "unet"),
    "lora": ("lora", "loras", "lycoris"),
    "vae": ("vae",),
    "embedding": ("embeddings",),
    "upscaler": ("esrgan", "realesrgan", "upscale_models", "swinir", "dat", "scunet"),
    "text encoder": ("text_encoder", "text_encoders", "clip"),
}
"""Names below a folder of models, in small letters: ours are ComfyUI's and A1111's."""
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft")
MAX_DEPTH = 8
EXTRA = "extra_model_paths.yaml"


@dataclass(frozen=True, slots=True)
class Found:
    """A model file or diffusers folder on the disk; nothing of it has been read."""

    path: Path
    shown: str
    """Its place below the folder of its kind, without ending: “anime/some-model”."""

    @property
    def name(self) -> str:
        return self.path.name if self.path.is_dir() else self.path.stem


def folders(places: Places, kind: str) -> list[Path]:
    """Every existing folder for models of `kind`, our own first. Raises ConfigError."""
    config = read_config(places)
    found = list(_below(places.models, kind))
    for text in config.a1111:
        root = Path(text).expanduser()
        found += _below(root, kind)  # A1111 keeps embeddings/ beside models/
        found += _below(root / "models", kind)
    for text in config.comfy:
        root = Path(text).expanduser()
        if root.is_file():
            found += _extra(root, kind)
            continue
        found += _below(root / "models", kind) or _below(root, kind)
        found += _extra(root / EXTRA, kind)
    return list(dict.fromkeys(found))


def _below(root: Path, kind: str) -> list[Path]:
    try:
        inside = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []
    return [path for path in inside if path.name.lower() in FOLDERS[kind]]


def _extra(file: Path, kind: str) -> list[Path]:
    """The folders that a ComfyUI path file names: sections with a base_path, one path a line."""
    if not file.is_file():
        return []
    try:
        sections = read_mapping(file)
    except YamlError as error:
        raise ConfigError(str(error)) from None
    found = []
    for section in sections.values():
        if not isinstance(section, dict):
            continue
        base = Path(str(section.get("base_path") or file.parent)).expanduser()
        base = base if base.is_absolute() else file.parent / base
        for key, value in section.items():
            if str(key).lower() in FOLDERS[kind] and isinstance(value, str):
                found += [base / line.strip() for line in value.splitlines() if line.strip()]
    return [path for path in found if path.is_dir()]


def search(places: Places, kind: str) -> list[Found]:
    """Every file that lies where models of `kind` belong. Raises ConfigError."""
    seen: set[tuple[int, int]] = set()
    found: list[Found] = []
    for folder in folders(places, kind):
        found += _walk(folder, folder, seen, 0)
    return found


def loose(places: Places) -> list[Found]:
    """What lies directly in our models folder: of any kind."""
    return list(_walk(places.models, places.models, set(), MAX_DEPTH))


def _walk(folder: Path, root: Path, seen: set[tuple[int, int]], depth: int) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name.casefold())
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            status, is_folder = entry.stat(), entry.is_dir()
        except OSError:
            continue  # a symlink to nowhere
        mark = (status.st_dev, status.st_ino)
        if entry.name.startswith(".") or mark in seen:
            continue
        shown = path.relative_to(root)
        if is_folder and (path / "model_index.json").is_file():
            seen.add(mark)
            yield Found(path, shown.as_posix())
        elif is_folder and depth < MAX_DEPTH:
            seen.add(mark)
            yield from _walk(path, root, seen, depth + 1)
        elif not is_folder and path.suffix.lower() in SUFFIXES:
            seen.add(mark)
            yield Found(path, shown.with_suffix("").as_posix())
