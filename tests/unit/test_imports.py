"""Who imports whom, and what a fresh process really loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

REPOSITORY = Path(__file__).parents[2]
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "peft", "accelerate", "safetensors"}
LAZY = {"numpy", "PIL", "term_image"}
"""Loaded in the terminal process only when a picture is drawn."""


def test_the_contracts_of_pyproject_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    status = lint_imports(config_filename="pyproject.toml", cache_dir=None)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def loaded(code: str) -> set[str]:
    """Top-level packages that a fresh process has loaded after `code`."""
    tell = "import sys; print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, cwd=REPOSITORY,
        env={**os.environ, "SDTUI_HOME": "/nonexistent/home"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["generate", "--help"], ["status"]])
def test_commands_load_nothing_heavy(words: list[str]) -> None:
    found = loaded(f"from sdtui.cli import main; assert main({words!r}) == 0")
    assert "sdtui" in found
    assert not found & (HEAVY | LAZY | {"textual", "rich"})


def test_version_loads_the_standard_library_alone() -> None:
    found = loaded("from sdtui.cli import main; assert main(['--version']) == 0")
    plain = loaded("")
    assert {name for name in found - plain if name not in sys.stdlib_module_names} == {"sdtui"}


def test_the_program_on_the_screen_loads_textual_and_nothing_heavy() -> None:
    found = loaded("import sdtui.cli.start, sdtui.tui.app")
    assert "textual" in found
    assert not found & (HEAVY | LAZY)


@pytest.mark.parametrize(
    "module", ["sdtui.backend.client", "sdtui.backend.server", "sdtui.backend.worker",
               "sdtui.library.catalog", "sdtui.library.presets", "sdtui.demo"],
)  # fmt: skip
def test_light_modules_load_light(module: str) -> None:
    assert not loaded(f"import {module}") & (HEAVY | LAZY | {"textual"})
