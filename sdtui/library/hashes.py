"""SHA-256 of model files, computed once: kept in the cache folder by path, size and time of change.

A checkpoint of 7 GB takes 8 s from a fast disk, so `Hashing` does it in a thread of low priority
while the first picture is being drawn.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from sdtui.formats.header import HeaderError, read_header

from .atomic import replace_quickly
from .places import Places

log = logging.getLogger(__name__)

SHORT = 10
"""Digits that A1111 shows and writes (its “AutoV2” hash)."""
LORA_SHORT = 12
"""Digits of a LoRA's hash (“AutoV3”)."""
OLD = 8
OF_NOTHING = hashlib.sha256().hexdigest()
"""ai-toolkit writes this into every LoRA (its issue 130)."""
DATA = "data of "
"""Before a path in the cache: the hash of what comes after the header."""
NICE = 10
LOOK_S = 0.1
_lock = threading.Lock()


def hashed_file(path: Path) -> Path:
    """The file that stands for a model: itself, or the U-Net's weights of a diffusers folder."""
    if not path.is_dir():
        return path
    return next(iter(sorted((path / "unet").glob("*.safetensors"))), path)


def known_hash(places: Places, path: Path) -> str | None:
    """The SHA-256 of a model as 64 digits if it was computed before and the file is the same."""
    file = hashed_file(path)
    try:
        size, changed = _state(file)
    except OSError:
        return None
    entry = _load(places).get(str(file))
    return entry[2] if entry and entry[:2] == [size, changed] else None


def model_hash(places: Places, path: Path) -> str:
    """The SHA-256 of a model as 64 digits, computed if need be. Raises OSError."""
    if known := known_hash(places, path):
        return known
    file = hashed_file(path)
    size, changed = _state(file)
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    _keep(places, file, [size, changed, digest])
    return digest


def known_data_hash(places: Places, path: Path) -> str | None:
    """As `data_hash`, where it need not be computed; None as well if the file cannot be read."""
    if path.suffix.lower() not in (".safetensors", ".sft"):
        return known_hash(places, path)
    try:
        size, changed = _state(path)
        told = _told(path, size, changed)
    except (OSError, HeaderError):
        return None
    if told and told != OF_NOTHING:
        return told
    entry = _load(places).get(DATA + str(path))
    return str(entry[2]) if entry and entry[:2] == [size, changed] else None


@lru_cache(maxsize=10_000)
def _told(path: Path, _size: int, _changed: int) -> str:
    return read_header(path).metadata.get("sshs_model_hash", "").lower()


def data_hash(places: Places, path: Path) -> str:
    """The 64 digits whose first 12 are A1111's hash of a LoRA (“AutoV3”), computed if need be.

    What a trainer wrote down (sshs_model_hash), else the SHA-256 of everything after the header,
    which stays the same when metadata is edited; of other formats the SHA-256 of the file.

    Raises OSError.
    """
    if known := known_data_hash(places, path):
        return known
    if path.suffix.lower() not in (".safetensors", ".sft"):
        return model_hash(places, path)
    size, changed = _state(path)
    with path.open("rb") as opened:
        opened.seek(8 + int.from_bytes(opened.read(8), "little"))
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    _keep(places, path, [size, changed, digest], DATA + str(path))
    return digest


def old_hash(path: Path) -> str:
    """The 8 digits that A1111 wrote until January 2023: of 64 KiB at 1 MiB. Raises OSError."""
    with path.open("rb") as opened:
        opened.seek(1 << 20)
        return hashlib.sha256(opened.read(1 << 16)).hexdigest()[:OLD]


class Hashing:
    """The hash of one model, on its way."""

    def __init__(self, places: Places, path: Path, *, data: bool = False) -> None:
        """`data`: the hash that LoRAs are known by (see `data_hash`)."""
        self._hash, self._digits = (data_hash, LORA_SHORT) if data else (model_hash, SHORT)
        self._digest = (known_data_hash if data else known_hash)(places, path)
        self._thread: threading.Thread | None = None
        if self._digest is None:
            # A daemon: the end of the program need not wait for it.
            self._thread = threading.Thread(
                target=self._compute, args=(places, path), name="hash", daemon=True
            )
            self._thread.start()

    def _compute(self, places: Places, path: Path) -> None:
        # On Linux niceness belongs to the thread.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            self._digest = self._hash(places, path)
        except OSError as error:
            log.warning("no hash of %s: %s", path, error)

    def short(self, hurry: Callable[[], bool] = lambda: False) -> str | None:
        """The first ten (LoRA: twelve) digits, waited for until `hurry`; None if there are none."""
        while self._thread is not None and self._thread.is_alive() and not hurry():
            self._thread.join(LOOK_S)
        return self._digest[: self._digits] if self._digest else None


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _load(places: Places) -> dict[str, Any]:
    """The kept hashes; a file that cannot be read is as good as none."""
    try:
        kept = json.loads(places.hash_cache.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {path: entry for path, entry in kept.items() if _is_entry(entry)}


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, list) and [type(part) for part in entry] == [int, int, str]


def _keep(places: Places, file: Path, entry: list[Any], key: str = "") -> None:
    with _lock:
        kept = {
            name: old
            for name, old in _load(places).items()
            if Path(name.removeprefix(DATA)).exists()
        }
        kept[key or str(file)] = entry
        try:
            replace_quickly(places.hash_cache, json.dumps(kept, indent=0).encode())
        except OSError as error:
            log.warning("the hash of %s could not be kept: %s", file, error)
