"""The wheel, built from the sdist and installed away from the repository, has all it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from sdtui import __version__
from tests.program import PATIENCE_S, REPOSITORY, SMALL


def run(*words: str | os.PathLike[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        [os.fspath(word) for word in words], capture_output=True, text=True, cwd=cwd, env=kept,
        stdin=subprocess.DEVNULL, timeout=PATIENCE_S,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    words = ("-m", "build", "--no-isolation", "-o", folder, REPOSITORY)
    done = run(sys.executable, *words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in folder.glob("*.tar.gz")] == [f"sdtui-{__version__}.tar.gz"]
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel; the libraries are those of this one."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    words = ("-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    done = run(sys.executable, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    own = Path(sysconfig.get_path("purelib", vars={"base": os.fspath(folder)}))
    # Its .pth files are not read from there, so an editable sdtui does not come along.
    (own / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(python, "-c", "import sdtui; print(sdtui.__file__)", cwd=folder).stdout
    assert Path(where.strip()).is_relative_to(own)
    return folder / "bin"


def test_it_holds_every_file_of_the_package_and_the_presets(wheel: Path) -> None:
    within = set(zipfile.ZipFile(wheel).namelist())
    own = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "sdtui").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    presets = {
        "sdtui/" + path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "presets").rglob("*.yaml")
    }
    assert len(presets) >= 6
    assert not (own | presets) - within


def test_it_runs_and_makes_a_picture(installed: Path, home: Path) -> None:
    sdtui = installed / "sdtui"
    assert run(sdtui, "--version", cwd=home).stdout == f"sdtui {__version__}\n"
    done = run(sdtui, "--home", home, "presets", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "Draft" in done.stdout and "SDXL" in done.stdout
    words = ("generate", "a red circle", "--preset", "draft", *SMALL, "--local")
    done = run(sdtui, "--home", home, *words, cwd=home)
    assert done.returncode == 0, done.stderr
    picture = Path(done.stdout.strip())
    assert picture.read_bytes().startswith(b"\x89PNG")
