"""Wildcard files: the lines behind __name__ in a prompt.

A text file holds one choice a line, `#` begins a remark. A YAML or JSON file holds lists, and
mappings of them: `clothes: {hats: [cap, bonnet]}` in fashion.yaml is fashion/clothes/hats (and
clothes/hats, as Dynamic Prompts has it). Files lie in wildcards/ of the home folder and in the
folders that A1111's extensions use; sub-folders are part of the name.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from sdtui.formats.wildcards import WildcardError
from sdtui.params.base import nearest

from .config import read_config
from .places import Places
from .strict_yaml import YamlError, read_mapping

SUFFIXES = (".txt", ".yaml", ".yml", ".json")
A1111_FOLDERS = (
    "wildcards", "extensions/sd-dynamic-prompts/wildcards",
    "extensions/stable-diffusion-webui-wildcards/wildcards", "scripts/wildcards",
)  # fmt: skip
MAX_BYTES = 8 << 20
ENCODINGS = ("utf-8-sig", "utf-16", "latin-1")


class Wildcards:
    """Every wildcard of this installation. Reads names at once, a file when it is asked for."""

    def __init__(self, places: Places) -> None:
        self.folder = places.home / "wildcards"
        self._files: dict[str, Path] = {}
        for folder in self._folders(places):
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    name = path.relative_to(folder).with_suffix("").as_posix()
                    self._files.setdefault(name, path)

    def _folders(self, places: Places) -> Iterator[Path]:
        yield self.folder
        for root in read_config(places).a1111:
            for name in A1111_FOLDERS:
                yield Path(root).expanduser() / name

    @property
    def names(self) -> list[str]:
        """The names that can be written between __ and __."""
        names = {name for name, path in self._files.items() if path.suffix.lower() == ".txt"}
        for name, path in self._files.items():
            if path.suffix.lower() != ".txt":
                names.update(f"{name}/{key}" if key else name for key in _lists(path))
        return sorted(names, key=str.casefold)

    def lines(self, name: str) -> Sequence[str]:
        """The choices of a wildcard; of several where the name holds * or ?.

        Raises:
            WildcardError: there is none, a file cannot be read, or it holds no choice.
        """
        found = [line for one in self._matching(name) for line in one]
        if not found:
            like = nearest(name, tuple(self.names))
            hint = f"did you mean __{like}__?" if like else f"put {name}.txt into {self.folder}"
            raise WildcardError(f"there is no wildcard __{name}__; {hint}")
        return found

    def _matching(self, name: str) -> Iterator[Sequence[str]]:
        wild = any(sign in name for sign in "*?[")
        for file, path in self._files.items():
            if path.suffix.lower() == ".txt":
                if file == name or (wild and fnmatch.fnmatchcase(file, name)):
                    yield _text_lines(path)
                continue
            for key, values in _lists(path).items():
                full = f"{file}/{key}" if key else file
                known = (full, key)
                if name in known or (wild and any(fnmatch.fnmatchcase(k, name) for k in known)):
                    yield values


def _text_lines(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in _read(path).splitlines())
    return [line for line in lines if line]


def _read(path: Path) -> str:
    """The text of a file, in whatever encoding an editor left it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WildcardError(f"{path} is larger than {MAX_BYTES >> 20} MB; divide it")
        data = path.read_bytes()
    except OSError as error:
        raise WildcardError(f"{path} cannot be read: {error.strerror}") from None
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ENCODINGS if not marked else ENCODINGS[1:]:
        try:
            return data.decode(encoding)
        except UnicodeError:
            continue
    raise AssertionError("latin-1 decodes everything")


def _lists(path: Path) -> dict[str, list[str]]:
    status = path.stat()
    return _lists_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _lists_of(path: Path, _size: int, _mtime_ns: int) -> dict[str, list[str]]:
    """Key, parts joined by “/” -> its choices. A file that is one list has the key “”."""
    try:
        tree: object = json.loads(_read(path)) if path.suffix.lower() == ".json" else None
        tree = read_mapping(path, MAX_BYTES) if tree is None else tree
    except (YamlError, ValueError, RecursionError) as error:
        raise WildcardError(f"{path} cannot be read: {error}") from None
    found: dict[str, list[str]] = {}
    todo: list[tuple[str, object]] = [("", tree)]
    while todo:
        key, node = todo.pop()
        if isinstance(node, dict):
            todo += [(f"{key}/{name}" if key else str(name), value) for name, value in node.items()]
        elif isinstance(node, list):
            found[key] = [str(value) for value in node if isinstance(value, str | int | float)]
        elif isinstance(node, str):
            found[key] = [node]
    return found
