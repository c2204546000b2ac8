"""The header of a safetensors file: names, shapes, types, places. No tensor is read, no torch.

A safetensors file begins with 8 bytes (little-endian length) and that much JSON naming every
tensor with dtype, shape and place (safetensors' format page). 1-20 ms for any size of file.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 16 << 20
"""SDXL's header has 0.3 MB, a LoRA's with all its tag counts a few; more is an attack."""
MAX_DIMENSIONS = 16
BYTES_PER_VALUE = {
    "BOOL": 1, "I8": 1, "U8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2,
    "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip


class HeaderError(ValueError):
    """Not a readable safetensors file; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Header:
    """Tensor shapes and metadata of a safetensors file."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """First byte and the byte after the last, counted from the beginning of the file."""


def read_header(path: Path) -> Header:
    """Raises HeaderError for a broken or cut-off file, OSError if it cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise HeaderError(f"{path.name} is empty or cut off; download it again")
        (length,) = struct.unpack("<Q", start)
        if wrong := _other_format(start):
            raise HeaderError(f"{path.name} is {wrong}")
        if length > size - 8:
            raise HeaderError(
                f"{path.name} is not a safetensors file, or it is cut off; download it again"
            )
        if length > MAX_HEADER_BYTES:
            raise HeaderError(
                f"{path.name} has a header of {length >> 20} MB, more than any model needs; "
                "it is damaged or made to do harm"
            )
        text = file.read(length)
    return _parsed(path.name, text, size)


def _other_format(start: bytes) -> str:
    """What else the file is, from its first bytes; “” if it may be a safetensors file."""
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")):
        return "a pickle under the name of a safetensors file; rename it to .ckpt"
    if start.lstrip().lower().startswith((b"<!doc", b"<html", b"<?xml")):
        return "a web page, not a model; download it again (logged in, where the site wants it)"
    if start.startswith(b"GGUF"):
        return "a GGUF file, a format that is not supported; get the safetensors version"
    if start.startswith(b"version "):
        return "a Git LFS pointer, not the model; fetch the file itself with git lfs pull"
    return ""


def _parsed(name: str, text: bytes, size: int) -> Header:
    broken = HeaderError(f"{name} has a broken header; download it again")
    try:
        table: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise broken from None
    if not isinstance(table, dict):
        raise broken
    metadata = table.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise broken
    base = 8 + len(text)
    header = Header({}, {}, {str(key): str(value) for key, value in metadata.items()})
    for tensor, entry in table.items():
        try:
            shape, dtype, (begin, end) = entry["shape"], entry["dtype"], entry["data_offsets"]
            numbers = (*shape, begin, end)
            whole = len(shape) <= MAX_DIMENSIONS and all(
                type(n) is int and 0 <= n < 1 << 63 for n in numbers
            )
            width = BYTES_PER_VALUE.get(str(dtype))
        except (TypeError, KeyError, ValueError):
            raise broken from None
        if not whole or end < begin or (width and math.prod(shape) * width != end - begin):
            raise broken
        header.shapes[tensor], header.dtypes[tensor] = tuple(shape), str(dtype)
        header.places[tensor] = (base + begin, base + end)
    end = max((place[1] for place in header.places.values()), default=base)
    if end != size:
        more = "incomplete" if end > size else "longer than its header says"
        raise HeaderError(f"{name} is {more}: {size} of {end} bytes; download it again")
    return header
