"""What a model file is, from its header alone: no tensor is read and torch is not needed.

A safetensors file begins with 8 bytes (little-endian length) and that much JSON naming every
tensor with dtype, shape and place (safetensors' format page). 1-20 ms for any size of file.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 100 << 20
UNET = re.compile(r"^(?:model\.diffusion_model\.)?input_blocks\.0\.0\.weight$")
CONTEXT = re.compile(r"input_blocks\..*attn2\.to_k\.weight$")
FAMILIES = {768: "sd15", 1024: "sd2", 2048: "sdxl"}
"""By the width of the text that the cross-attention reads."""


class HeaderError(ValueError):
    """Not a readable safetensors file; the message says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """Tensor shapes and metadata of a safetensors file."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Raises HeaderError for a broken or cut-off file, OSError if it cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise HeaderError(f"{path.name} is empty or cut off")
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise HeaderError(f"{path.name} is not a safetensors file, or it is cut off")
        try:
            table: dict[str, Any] = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise HeaderError(f"{path.name} has a broken header") from None
    if not isinstance(table, dict):
        raise HeaderError(f"{path.name} has a broken header")
    metadata = table.pop("__metadata__", {}) or {}
    try:
        end = max((entry["data_offsets"][1] for entry in table.values()), default=0)
        shapes = {name: tuple(entry["shape"]) for name, entry in table.items()}
        dtypes = {name: str(entry["dtype"]) for name, entry in table.items()}
    except (TypeError, KeyError, IndexError):
        raise HeaderError(f"{path.name} has a broken header") from None
    if 8 + length + end != size:
        raise HeaderError(
            f"{path.name} is incomplete: {size} of {8 + length + end} bytes; download it again"
        )
    return Header(shapes, dtypes, {str(k): str(v) for k, v in dict(metadata).items()})


def family_of(header: Header) -> str:
    """“sd15”, “sd2”, “sdxl”, “inpainting”, “refiner” for a full checkpoint, else “unknown”."""
    first = next((name for name in header.shapes if UNET.search(name)), None)
    if first is None:
        return "unknown"
    shape = header.shapes[first]
    if shape[0] == 384:
        return "refiner"
    if len(shape) > 1 and shape[1] != 4:
        return "inpainting"
    keys = (header.shapes[name] for name in header.shapes if CONTEXT.search(name))
    return FAMILIES.get(next((key[-1] for key in keys), 0), "unknown")
