"""Picture files: read small, said in one sentence when they cannot be read, fitted into cells."""

from __future__ import annotations

import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

UNDER_ALPHA = (32, 32, 32)
"""Colour under transparent pixels."""


class PictureError(Exception):
    """A picture that cannot be shown; the message is one sentence."""


@dataclass(frozen=True)
class Stamp:
    """Which content a path has: another file under the same name has another stamp."""

    path: str
    inode: int
    size: int
    mtime_ns: int


def _stamp(path: str, status: os.stat_result) -> Stamp:
    return Stamp(path, status.st_ino, status.st_size, status.st_mtime_ns)


def stamp_of(path: str) -> Stamp:
    """The stamp of the file now at `path`. Raises PictureError."""
    try:
        return _stamp(path, Path(path).stat())
    except (OSError, ValueError) as error:
        raise PictureError(_why(path, error)) from None


def load(path: str, limit_px: tuple[int, int]) -> tuple[Stamp, Image]:
    """A file's stamp and the picture in RGB, perhaps reduced.

    Where the format allows it (JPEG) the file is decoded at a smaller size, never smaller than
    `limit_px`. Raises PictureError.
    """
    from PIL import Image, ImageOps

    try:
        with Path(path).open("rb") as file:
            stamp = _stamp(path, os.fstat(file.fileno()))
            with Image.open(file) as image:
                image.draft("RGB", limit_px)
                return stamp, _opaque(ImageOps.exif_transpose(image))
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
        Image.DecompressionBombError,
    ) as error:  # fmt: skip
        raise PictureError(_why(path, error)) from None


def size_of(path: str) -> tuple[int, int]:
    """Width and height in pixels, from the head of the file. Raises PictureError."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientation: on its side
            return image.size[::-1] if turned else image.size
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError,
    ) as error:  # fmt: skip
        raise PictureError(_why(path, error)) from None


def level(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """The size in pixels to send for a place of `wanted` pixels: halved while that is enough.

    Steps, so that a resized box mostly finds its picture already sent; never enlarged.
    """
    width, height = size
    while width >= 2 * wanted[0] and height >= 2 * wanted[1]:
        width, height = (width + 1) // 2, (height + 1) // 2
    return width, height


def _opaque(image: Image) -> Image:
    from PIL import Image as Pil

    if image.mode.startswith("I;16") or image.mode == "I":
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La") or "transparency" in image.info:
        under = Pil.new("RGBA", image.size, (*UNDER_ALPHA, 255))
        return Pil.alpha_composite(under, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _why(path: str, error: Exception) -> str:
    name = Path(path).name
    if isinstance(error, FileNotFoundError):
        return f"{name} is gone: it was deleted or moved"
    if isinstance(error, PermissionError):
        return f"{name} may not be read: permission denied"
    if isinstance(error, IsADirectoryError):
        return f"{name} is a folder, not a picture"
    if type(error).__name__ == "DecompressionBombError":
        return f"{name} has too many pixels to be shown"
    if type(error).__name__ == "UnidentifiedImageError":
        return f"{name} is not a picture that can be read"
    if isinstance(error, OSError) and error.strerror:
        return f"{name} cannot be read: {error.strerror}"
    return f"{name} is damaged or only half written"


def fit(
    size_px: tuple[int, int], box: tuple[int, int], cell_px: tuple[int, int], *, whole: bool = False
) -> tuple[int, int]:
    """Columns and rows of the largest picture of these proportions in a box of cells.

    The nearest number of cells, or with `whole` so many that none of it is left out.
    """
    nearest = (lambda cells: math.ceil(cells - 0.01)) if whole else round
    (width, height), (columns, rows), (cell_w, cell_h) = size_px, box, cell_px
    scale = min(columns * cell_w / width, rows * cell_h / height)
    return (
        max(1, min(columns, nearest(width * scale / cell_w))),
        max(1, min(rows, nearest(height * scale / cell_h))),
    )


def reduce(image: Image, size: tuple[int, int]) -> Image:
    """The picture scaled to `size`, down or up, with a good filter."""
    from PIL.Image import Resampling

    if image.size == size:
        return image
    return image.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
