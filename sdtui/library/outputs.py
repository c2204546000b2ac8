"""Where a picture goes and under which name: A1111's patterns, inside the output folder, never over
another picture."""

from __future__ import annotations

import re
from pathlib import Path

from .atomic import create_bytes
from .places import Places

COUNTER = re.compile(r"^(\d{1,9})(?=\D|$)")


def save_picture(
    places: Places, png: bytes, folder_pattern: str, filename_pattern: str, values: dict[str, object]
) -> Path:
    """Write a picture as outputs/txt2img/<folder>/<counter>-<name>.png; its path.

    Raises OSError when it cannot be written; nothing is left behind then.
    """
    folder = places.outputs / "txt2img" / __import__("time").strftime("%Y-%m-%d")
    stem = str(values["seed"])

    def name_of(number: int) -> Path:
        return folder / (f"{number:05d}-{stem}.png" if stem else f"{number:05d}.png")

    return create_bytes(name_of, png, first=next_number(folder))


def next_number(folder: Path) -> int:
    """One above the highest counter at the head of a file name there; 0 in an empty folder."""
    if not folder.is_dir():
        return 0
    found = (COUNTER.match(path.name) for path in folder.iterdir())
    return max((int(match[1]) for match in found if match), default=-1) + 1
