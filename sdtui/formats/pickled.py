"""Names and shapes in a torch pickle (.ckpt .pt .pth .bin), without torch and without running it.

A pickle is a list of instructions that may name any function of Python. Here every name stands for
an inert class, so nothing is ever imported or called; tensors leave their shapes.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .header import HeaderError

SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
MAX_NESTS = 20_000
MAX_BYTES = 4 << 20
"""Of instructions; SDXL needs 0.6 MB. Weights are not counted."""
LEGACY_HEAD = 3
"""Pickles before the object in torch's old format: magic number, protocol, system."""
NESTS = ("state_dict", "params_ema", "params", "model", "string_to_param")
"""Keys under which files keep what matters; only the last stays in the names."""


class Inert:
    """Stands for anything a pickle names: takes everything and does nothing.

    Of a whole torch module it keeps the state, in which the tensors are.
    """

    dump_patches = False  # torch asks classes of its old format for it
    state: Mapping[Any, Any] = MappingProxyType({})

    def __new__(cls, *_args: Any, **_named: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_named: Any) -> None: ...
    def __call__(self, *_args: Any, **_named: Any) -> Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict) and "_parameters" in state:
            self.state = state

    def __setitem__(self, _key: Any, _value: Any) -> None: ...
    def append(self, _one: Any) -> None: ...
    def extend(self, _all: Any) -> None: ...
    def add(self, _one: Any) -> None: ...


class Table(dict[Any, Any]):
    """A dictionary whose further state is left out."""

    def __setstate__(self, _state: Any) -> None: ...


class Shape(tuple[int, ...]):
    """Where a tensor was."""


def _tensor(_storage: Any, _offset: Any, size: Any, *_more: Any) -> Shape:
    return Shape(number for number in size if isinstance(number, int))


def _parameter(data: Any, *_more: Any) -> Any:
    return data


KNOWN = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): Table,
}


class _Reader(pickle._Unpickler):  # type: ignore[misc, name-defined]
    # In Python: the C version allocates whatever size an instruction names.
    dispatch = {  # noqa: RUF012
        code: action
        for code, action in pickle._Unpickler.dispatch.items()  # type: ignore[attr-defined]
        if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        return KNOWN.get((module, name), Inert)

    def persistent_load(self, _pid: Any) -> Any:
        """A storage, or a class with its source in torch's old format."""
        return Inert


def pickled_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Raises HeaderError for what is no torch pickle, OSError."""
    broken = HeaderError(f"{path.name} is not a model file, or it is damaged; download it again")
    try:
        if zipfile.is_zipfile(path):
            loaded = _Reader(io.BytesIO(_instructions(path))).load()
        else:
            with path.open("rb") as file:
                start = io.BytesIO(file.read(MAX_BYTES))
            for _ in range(LEGACY_HEAD):
                _Reader(start).load()
            loaded = _Reader(start).load()
        shapes = {name: tuple(shape) for name, shape in flat(loaded, Shape)}
    except (OSError, HeaderError):
        raise
    except Exception:  # a made-up pickle can fail in any way
        raise broken from None
    if not shapes:
        raise broken
    return shapes


def _instructions(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        info = next(one for one in archive.infolist() if Path(one.filename).name == "data.pkl")
        if info.file_size > MAX_BYTES:
            raise HeaderError(
                f"{path.name} holds {info.file_size >> 20} MB of instructions, more than any model "
                "needs; it is damaged or made to do harm"
            )
        with archive.open(info) as member:
            return member.read(MAX_BYTES)


def flat(
    loaded: Any, leaf: type, prefix: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """(name, leaf) of everything of that type: in the object itself, in the nests that files have,
    and in whole modules. What is reached twice counts once: a pickle may lead in circles."""
    seen = set() if seen is None else seen
    if id(loaded) in seen or len(seen) > MAX_NESTS:
        return
    seen.add(id(loaded))
    if isinstance(loaded, Inert):
        for part in ("_parameters", "_buffers", "_modules"):
            yield from flat(loaded.state.get(part), leaf, prefix, seen)
    if not isinstance(loaded, Mapping):
        return
    for key, value in loaded.items():
        if isinstance(value, leaf):
            yield f"{prefix}{key}", value
        elif key in NESTS and not prefix:
            yield from flat(value, leaf, "string_to_param." if key == NESTS[-1] else "", seen)
        elif isinstance(value, Inert) and value.state:
            yield from flat(value, leaf, f"{prefix}{key}.", seen)
