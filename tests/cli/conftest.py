"""Homes for the tests of the command line."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdtui.backend.starter import stop_backend
from sdtui.library.places import find_places
from tests.program import SCRIPTED, SMALL, Program


def _program(**extra: str) -> Iterator[Program]:
    folder = Path(tempfile.mkdtemp(prefix="sdtui-cli-"))
    program = Program(folder / "home", **extra)
    yield program
    stop_backend(find_places(program.home))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def program() -> Iterator[Program]:
    """A home that nobody has used yet."""
    yield from _program()


@pytest.fixture
def scripted() -> Iterator[Program]:
    """A home whose backend follows the prompt as a script, without torch (tests/fakes.py)."""
    yield from _program(**SCRIPTED)


@pytest.fixture(scope="session")
def shared() -> Iterator[Program]:
    """One home and one backend, with the demo model in memory, for tests that add to it."""
    for program in _program():
        program.json("generate", "a red circle", *SMALL)
        yield program
