"""Where a picture goes and under which name: A1111's patterns, inside the output folder, never over
another picture."""

from __future__ import annotations

from pathlib import Path

from sdtui.formats import filenames

from .atomic import create_bytes
from .places import Places

KIND = "txt2img"


def save_picture(
    places: Places, png: bytes, folder_pattern: str, file_pattern: str, facts: filenames.Facts
) -> Path:
    """Write a picture as outputs/txt2img/<folder>/<counter>-<name>.png; its path.

    Raises OSError when it cannot be written; nothing is left behind then.
    """
    below, name = filenames.place(folder_pattern, file_pattern, facts)
    folder = places.outputs / KIND / below

    def name_of(number: int) -> Path:
        return folder / f"{number:05d}{name and f'-{name}'}.png"

    taken = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return create_bytes(name_of, png, first=filenames.next_number(taken))
