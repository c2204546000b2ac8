"""Homes for the tests of the command line."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdtui.backend.starter import stop_backend
from sdtui.library.places import find_places
from tests.program import SMALL, Program


def _program() -> Iterator[Program]:
    folder = Path(tempfile.mkdtemp(prefix="sdtui-cli-"))
    program = Program(folder / "home")
    yield program
    stop_backend(find_places(program.home))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def program() -> Iterator[Program]:
    """A home that nobody has used yet."""
    yield from _program()


@pytest.fixture(scope="module")
def shared() -> Iterator[Program]:
    """One home and one backend, with the demo model in memory, for a module's tests."""
    for program in _program():
        program.json("generate", "a red circle", *SMALL)
        yield program
