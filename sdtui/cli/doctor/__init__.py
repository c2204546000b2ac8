"""`sdtui doctor`: does this machine do what sdtui needs, and what would make it better?

Each check gives one or more rows: ok, warning (works, could be better) or problem, with what to do.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from sdtui.cli import DONE, FAILED, print_json, printable
from sdtui.library.places import PlaceError, Places, find_places

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Row:
    """What was found about one thing."""

    name: str
    level: Level
    text: str
    advice: tuple[str, ...] = ()
    """What to do, a line each; lines to be copied into a file stand by themselves."""


Check = Callable[[Places], Iterable[Row]]


def run(arguments: argparse.Namespace) -> int:
    from . import machine, storage, terminal

    places = find_places(arguments.home)
    torch = machine.TorchQuestion()  # seconds: answered while the rest is looked at
    checks: list[tuple[str, Check]] = [
        ("python", machine.python),
        ("libraries", machine.libraries),
        ("terminal", terminal.terminal),
        ("tmux", terminal.tmux),
        ("logout", terminal.logout),
        ("folders", storage.folders),
        ("disk", storage.disk),
        ("models", storage.models),
        ("presets", storage.presets),
        ("backend", storage.backend),
        ("torch", torch.rows),
    ]
    rows = [row for name, check in checks for row in _rows(name, check, places)]
    problems = sum(row.level == "problem" for row in rows)
    if arguments.json:
        print_json({"ok": not problems, "rows": [asdict(row) for row in rows]})
    else:
        _print(rows)
    return FAILED if problems else DONE


def _rows(name: str, check: Check, places: Places) -> list[Row]:
    """One check that breaks must not hide what the others have found."""
    try:
        return list(check(places))
    except PlaceError as error:
        return [Row(name, "problem", str(error))]
    except Exception as error:
        logging.getLogger(__name__).debug("check %s", name, exc_info=True)
        return [Row(name, "problem", f"could not be checked: {type(error).__name__}: {error}")]


def _print(rows: list[Row]) -> None:
    width = max(len(row.name) for row in rows)
    columns = min(100, max(60, shutil.get_terminal_size((100, 24)).columns))
    for row in rows:
        lead = f"{row.level:<8} {row.name:<{width}}  "
        lines = textwrap.wrap(
            printable(row.text), columns, initial_indent=lead, subsequent_indent=" " * len(lead),
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        print("\n".join(lines))
        for line in row.advice:
            print(f"{'':<{len(lead)}}{line}")
    counts = {level: sum(row.level == level for row in rows) for level in ("problem", "warning")}
    said = [f"{n} {level}{'s' if n > 1 else ''}" for level, n in counts.items() if n]
    print(", ".join(said) or "all is well")
