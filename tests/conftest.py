"""Every test has a home of its own and never sees the developer's folders."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Started under nohup the children would ignore hangups, and tests send them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SDTUI_", "XDG_")) and name != "SDTUI_VECTORS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home folder with a short path; what lies in it is deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sdtui-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
