"""The tensors of a torch pickle, without ever running what it says."""

from __future__ import annotations

import pickle
import types
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdtui.formats.pickled import Inert, Table, flat

ALLOWED = {
    ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_parameter"), ("torch", "Size"), ("torch.storage", "UntypedStorage"),
}  # fmt: skip


class _Unpickler(pickle._Unpickler):  # type: ignore[misc, name-defined]
    """Everything but what makes tensors becomes inert. In Python, for its memory is bounded."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return Table
        if module == "torch" and isinstance(found := getattr(torch, name, None), torch.dtype):
            return found
        return super().find_class(module, name) if (module, name) in ALLOWED else Inert


def _load(file: Any, **options: Any) -> Any:
    return _Unpickler(file, **options).load()


INERT_PICKLE = types.SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__="inert")


def pickled_tensors(path: Path) -> dict[str, Tensor]:
    """Every named tensor of the file. First torch's own weights-only reader, then the inert one.

    Raises OSError, and anything for a damaged file.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=_mappable(path))
    except pickle.UnpicklingError:
        with warnings.catch_warnings():  # of classes whose source looks different today
            warnings.simplefilter("ignore")
            loaded = torch.load(
                path, map_location="cpu", weights_only=False, mmap=_mappable(path),
                pickle_module=INERT_PICKLE,
            )  # fmt: skip
    return {name: tensor.detach() for name, tensor in flat(loaded, Tensor)}


def _mappable(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"
