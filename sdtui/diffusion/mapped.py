"""The tensors of a safetensors file as views of the mapped file: nothing is read until it is used.

One mapping for the whole file. (safetensors' own reader gives such views too, but takes a
millisecond for each tensor, and SDXL has 2,500.) The pages are private: writing to a tensor does
not reach the file.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sdtui.formats.header import read_header

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


def mapped_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a known type by its name. Raises HeaderError, OSError, RuntimeError."""
    header = read_header(path)
    size = path.stat().st_size
    storage = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=size)
    found = {}
    for name, (begin, end) in header.places.items():
        dtype = TYPES.get(header.dtypes[name])
        if dtype is None:
            continue
        shape = header.shapes[name]
        if begin % dtype.itemsize:  # rare: such a header was not padded
            raw = torch.empty(0, dtype=torch.uint8).set_(storage, begin, (end - begin,))
            found[name] = raw.clone().view(dtype).reshape(shape)
        else:
            found[name] = torch.empty(0, dtype=dtype).set_(storage, begin // dtype.itemsize, shape)
    return found
