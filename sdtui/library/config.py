"""config.yaml: what a person sets once for this machine. Hand-written, so it is read strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from sdtui.params.base import nearest

from .atomic import replace_text
from .places import PlaceError, Places
from .strict_yaml import YamlError, read_mapping

HEAD = "# Settings of sdtui on this machine. `sdtui --a1111 DIR` and `--comfy DIR` add to it.\n"
GIB = 1 << 30


class ConfigError(PlaceError):
    """config.yaml is wrong; the message names the file, the key and what would be right."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that config.yaml may hold."""

    a1111: tuple[str, ...] = ()
    """Folders of AUTOMATIC1111 or Forge whose models are used in place."""
    comfy: tuple[str, ...] = ()
    """Folders of ComfyUI whose models are used in place, or extra_model_paths.yaml files."""
    models_in_memory_gb: float = 0.0
    """Checkpoints besides the one in use stay in memory up to so many GB in all."""

    @property
    def memory_bytes(self) -> int:
        return int(self.models_in_memory_gb * GIB)


LISTS = ("a1111", "comfy")


def config_file(places: Places) -> Path:
    return places.config / "config.yaml"


def read_config(places: Places) -> Config:
    """The settings in force; the defaults if there is no file. Raises ConfigError."""
    path = config_file(places)
    try:
        status = path.stat()
    except OSError:
        return Config()
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, _size: int, _mtime_ns: int) -> Config:
    try:
        return _checked(path, read_mapping(path))
    except YamlError as error:
        raise ConfigError(str(error)) from None


def _checked(path: Path, values: dict[Any, Any]) -> Config:
    known = tuple(one.name for one in fields(Config))
    for key, value in values.items():
        if key not in known:
            like = nearest(str(key), known)
            hint = f"did you mean “{like}”?" if like else f"known are {', '.join(known)}"
            raise ConfigError(f"{path}: unknown key “{key}”; {hint}")
        if key in LISTS:
            words = [value] if isinstance(value, str) else value
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ConfigError(f"{path}: {key} must be a folder or a list of folders")
            values[key] = tuple(words)
        elif isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise ConfigError(f"{path}: {key} {value!r} must be a number from 0 up")
    return Config(**values)


def add_folder(places: Places, key: str, folder: Path) -> None:
    """Remember a folder under `key` (a1111, comfy); what else stands in the file stays.

    Raises:
        ConfigError: the folder does not exist, or the file is wrong.
        OSError: the file cannot be written.
    """
    folder = folder.expanduser().absolute()
    if not folder.exists():
        raise ConfigError(f"there is no folder {folder}")
    if str(folder) in getattr(read_config(places), key):
        return
    path = config_file(places)
    text = path.read_text(encoding="utf-8") if path.exists() else HEAD
    line = f"  - {_quoted(str(folder))}\n"
    start = re.search(rf"^{key}:[ \t]*(#.*)?\n", text, re.M)
    if start:
        text = text[: start.end()] + line + text[start.end() :]
    elif re.search(rf"^{key}:", text, re.M):
        raise ConfigError(f"{path}: write {key} as one “- folder” in each line, then try again")
    else:
        text = text + ("" if text.endswith("\n") else "\n") + f"{key}:\n{line}"
    replace_text(path, text)
    read_config(places)


def _quoted(text: str) -> str:
    """A YAML string in single quotes."""
    return "'" + text.replace("'", "''") + "'"
