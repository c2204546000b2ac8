"""Files are written in one place: sdtui/library/atomic.py. This looks for others in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

ALLOWED = {
    "sdtui/library/atomic.py": "it is the one place",
    "sdtui/library/session.py": "settings that cannot be read are set aside, by renaming",
    "sdtui/backend/queue.py": "a queue that cannot be read is set aside, by renaming",
    "sdtui/backend/lock.py": "a lock lives on one inode, so its file is never replaced",
    "sdtui/backend/starter.py": "the log is the child's stdout",
    "sdtui/backend/server.py": "a socket is put in its place, not a file",
    "sdtui/cli/__init__.py": "tracebacks are appended to the terminal log",
    "sdtui/cli/generate.py": "a local run appends to the terminal log",
    "sdtui/tui/editor.py": "a scratch file for $EDITOR",
    "sdtui/tui/pictures/abilities.py": "the terminal is asked, no file is written",
    "sdtui/demo": "tools that make the demo model, run by a person in the repository",
}
"""Module or package, and why it may write by itself."""

OPENERS = {"gzip", "bz2", "lzma", "io", "codecs", "Image"}
"""Modules whose `open` takes the mode second, as the built-in does; pathlib's takes it first."""
ALWAYS = {"write_text", "write_bytes", "tofile", "mkstemp", "NamedTemporaryFile"}
OF_MODULE = {
    "os": {"replace", "rename", "link", "symlink"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move"},
}
IN_MEMORY = {"buffer", "stream"}
OURS = {"session", "presets", "preset_files", "self", "work", "talk"}
"""What our own functions called `save` are called on; those end in atomic.py."""


def writes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each call that may write a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _may_write(node):
            yield node.lineno, ast.unparse(node)


def _may_write(call: ast.Call) -> bool:
    is_method = isinstance(call.func, ast.Attribute)
    owner = ast.unparse(call.func.value) if is_method else ""
    name = call.func.attr if is_method else getattr(call.func, "id", "")
    if name == "open":
        return _opens_for_writing(call, owner)
    if name in ALWAYS or name.endswith("FileHandler"):
        return True
    if name == "basicConfig":
        return any(word.arg == "filename" for word in call.keywords)
    if owner in OF_MODULE:
        return name in OF_MODULE[owner]
    if name in ("replace", "rename"):  # pathlib's take one argument, str.replace takes two
        return is_method and owner != "dataclasses" and len(call.args) == 1 and not call.keywords
    if name in ("save", "save_file"):
        target = ast.unparse(call.args[0]) if call.args else ""
        return owner not in OURS and target not in IN_MEMORY
    return False


def _opens_for_writing(call: ast.Call, owner: str) -> bool:
    if owner == "os":
        return any(flag in ast.unparse(call) for flag in ("O_WRONLY", "O_RDWR", "O_CREAT"))
    place = 1 if not owner or owner in OPENERS else 0
    named = [word.value for word in call.keywords if word.arg == "mode"]
    for mode in [*named, *call.args[place : place + 1]]:
        if isinstance(mode, ast.Constant):
            return bool(set(str(mode.value)) & set("wax+"))
        return place == 1 or bool(named)  # pathlib's is written out; an archive's is a member
    return False


def inside(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}/")


@pytest.fixture(scope="module")
def found() -> list[tuple[str, int, str]]:
    """File, line and text of every call in sdtui/ that may write."""
    return [
        (path.relative_to(REPOSITORY).as_posix(), line, text)
        for path in sorted((REPOSITORY / "sdtui").rglob("*.py"))
        for line, text in writes(ast.parse(path.read_text(encoding="utf-8")))
    ]


def test_every_file_is_written_by_atomic(found: list[tuple[str, int, str]]) -> None:
    wrong = [
        f"{name}:{line} {text}" for name, line, text in found
        if not any(inside(name, place) for place in ALLOWED)
    ]  # fmt: skip
    assert not wrong, "write through sdtui/library/atomic.py:\n" + "\n".join(wrong)


def test_every_exception_is_needed(found: list[tuple[str, int, str]]) -> None:
    assert [
        place for place in ALLOWED if not any(inside(name, place) for name, _, _ in found)
    ] == []  # fmt: skip


@pytest.mark.parametrize(
    "code",
    ["open('x', 'w')", "open(path, mode='ab')", "path.open('w+')", "path.write_text('x')",
     "os.replace(a, b)", "path.rename(other)", "os.open(path, os.O_CREAT)", "image.save(path)",
     "shutil.copy(a, b)", "open(path, mode)", "gzip.open(path, 'wb')", "save_file(tensors, path)",
     "logging.FileHandler(path)", "logging.basicConfig(filename=path)"],
)  # fmt: skip
def test_the_search_finds_a_write(code: str) -> None:
    assert list(writes(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    ["open('x')", "path.open('rb')", "text.replace('a', 'b')", "dataclasses.replace(a, b=1)",
     "os.open(path, os.O_RDONLY)", "image.save(buffer, 'PNG')", "Image.open(path)",
     "replace(layer, edits={})", "logging.basicConfig(level=1)", "archive.open(member)"],
)  # fmt: skip
def test_the_search_lets_reading_pass(code: str) -> None:
    assert not list(writes(ast.parse(code)))
