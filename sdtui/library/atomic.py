"""Every write of sdtui goes through here: a reader sees the old file or the new one, never half.

A new file is written beside its place, flushed to the disk, then renamed over it; the folder is
flushed too, so that the name survives a power cut (the discipline of SQLite). Other modules may not
open files for writing (a test looks).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def replace_bytes(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` at `path`, over what was there. Raises OSError; then the old file is untouched."""
    temporary = _write_beside(path, data, mode)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def replace_text(path: Path, text: str, mode: int = 0o600) -> None:
    """`replace_bytes` with UTF-8 text."""
    replace_bytes(path, text.encode(), mode)


def replace_quickly(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Old or new, never half, but not flushed to the disk: for previews, which may be lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        temporary.write_bytes(data)
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def create_bytes(
    name_of: Callable[[int], Path], data: bytes, *, first: int = 0, mode: int = 0o644
) -> Path:
    """Put `data` at the first free of name_of(first), name_of(first + 1) …, never over a file.

    The complete file appears under its name in one step (link, which fails if the name is taken),
    so two programs saving at once both keep their pictures.
    """
    number = first
    temporary = _write_beside(name_of(number), data, mode)
    try:
        while True:
            path = name_of(number)
            try:
                os.link(temporary, path)
                break
            except FileExistsError:
                number += 1
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)
    return path
