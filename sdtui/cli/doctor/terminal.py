"""The terminal, tmux between it and us, and what happens to the backend at logout."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sdtui.library.places import Places
from sdtui.tui.pictures.abilities import Abilities, find_abilities

from . import Row

SMALLEST, GOOD = (80, 24), (120, 36)
"""Columns and lines."""
ANSWER_S = 2.0
SLOW_ESCAPE_MS = 50
DROP_IN = "/etc/systemd/logind.conf.d/sdtui.conf"


def terminal(_places: Places) -> Iterator[Row]:
    """What the terminal of this process can show."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield Row("terminal", "ok", "not looked at: this is not running in one")
        return
    yield from terminal_rows(find_abilities(), os.environ.get("TERM", ""), _size())


def _size() -> tuple[int, int]:
    size = os.get_terminal_size(sys.stdout.fileno())
    return size.columns, size.lines


def terminal_rows(found: Abilities, term: str, size: tuple[int, int]) -> Iterator[Row]:
    """Rows for what was found out about a terminal of that TERM and size."""
    name = " ".join((found.name or term or "unknown", ".".join(map(str, found.version)))).strip()
    if term in ("", "dumb"):
        yield Row("terminal", "warning", f"TERM={term or 'unset'}: no full-screen program here",
                  ("Set TERM to what your terminal is, for example: export TERM=xterm-256color",
                   "sdtui generate works all the same"))  # fmt: skip
        return
    if found.asked and not found.answered:
        yield Row("terminal", "warning", f"{name} did not answer; a slow line?")
    elif size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
        advice = f"At least {SMALLEST[0]}x{SMALLEST[1]}; {GOOD[0]}x{GOOD[1]} is comfortable"
        yield Row("terminal", "warning", f"{name}, {size[0]}x{size[1]}: small", (advice,))
    else:
        yield Row("terminal", "ok", f"{name}, {size[0]}x{size[1]}")
    if not found.utf8:
        yield Row("locale", "warning", "not UTF-8: no pictures, some characters are missing",
                  ("export LC_ALL=C.UTF-8",))  # fmt: skip
    if found.truecolor:
        yield Row("colours", "ok", "16 million")
    elif not found.tmux:  # for tmux its own row says what to do
        yield Row("colours", "warning", "true colour is not known of: pictures are coarser",
                  ("If your terminal has it: export COLORTERM=truecolor",))  # fmt: skip
    pixels = "in pixels (kitty graphics)" if found.kitty else "as coloured half blocks"
    yield Row("pictures", "ok", pixels)


def tmux(_places: Places) -> Iterator[Row]:
    """The options of the tmux we run in, with the lines to add."""
    if not os.environ.get("TMUX"):
        if shutil.which("tmux"):
            yield Row("tmux", "ok", "not inside; run the doctor inside to look at its options")
        else:
            yield Row("tmux", "ok", "not installed, not needed: the backend outlives the terminal")
        return
    wanted = {
        name: _ask_tmux("show-options", scope, name)
        for name, scope in (
            ("allow-passthrough", "-gwv"), ("set-clipboard", "-sv"), ("focus-events", "-sv"),
            ("escape-time", "-sv"),
        )
    }  # fmt: skip
    client = _ask_tmux("display-message", "-p", "#{client_termname}\t#{client_termfeatures}")
    term, _, features = client.partition("\t")
    yield tmux_row(_ask_tmux("-V"), wanted, term, features.split(","))


def tmux_row(version: str, options: dict[str, str], term: str, features: list[str]) -> Row:
    """What tmux lacks. `term`, `features`: of the attached terminal, as tmux knows them."""
    lines: list[tuple[str, str]] = []
    if term and "RGB" not in features:
        line = f'set -as terminal-features ",{term}:RGB"'
        lines.append((line, "true colour, if your terminal has it"))
    if options["allow-passthrough"] == "off":  # “” before tmux 3.3: everything passes
        lines.append(("set -g allow-passthrough on", "pictures in pixels, with kitty graphics"))
    if options["set-clipboard"] not in ("on", ""):
        lines.append(("set -s set-clipboard on", "y copies a picture's path to your own clipboard"))
    if options["focus-events"] == "off":
        lines.append(("set -s focus-events on", "the program knows when it is looked at"))
    if options["escape-time"].isdigit() and int(options["escape-time"]) > SLOW_ESCAPE_MS:
        lines.append((f"set -s escape-time {SLOW_ESCAPE_MS}", "Esc acts at once"))
    if not lines:
        return Row("tmux", "ok", version)
    width = max(len(line) for line, _ in lines)
    advice = [f"{line:<{width}}  # {why}" for line, why in lines]
    where = "~/.tmux.conf, then: tmux source-file ~/.tmux.conf, detach and attach again"
    return Row("tmux", "warning", f"{version}; add to {where}", tuple(advice))


def _ask_tmux(*arguments: str) -> str:
    """What tmux prints; “” if it does not know the option or does not answer."""
    try:
        done = subprocess.run(
            ["tmux", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=ANSWER_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def logout(_places: Places) -> Iterator[Row]:
    """Whether systemd ends what a person has started when he logs out."""
    if not Path("/run/systemd/system").is_dir():
        yield Row("logout", "ok", "no systemd here: the backend outlives the login")
        return
    yield logout_row(_kills(), pwd.getpwuid(os.getuid()).pw_name)


def _kills() -> bool | None:
    """logind's KillUserProcesses as in force; None if it does not say."""
    try:
        said = subprocess.run(
            ["busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1",
             "org.freedesktop.login1.Manager", "KillUserProcesses"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_S,
        ).stdout.split()  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said[1] == "true" if len(said) == 2 else None


def logout_row(kills: bool | None, user: str) -> Row:
    """`kills`: what logind says of KillUserProcesses."""
    if user == "root":
        return Row(
            "logout", "ok", "root's processes are left alone: the backend outlives the login"
        )
    if kills is None:
        return Row(
            "logout", "ok", "systemd-logind does not say whether it ends processes at logout"
        )
    if not kills:
        return Row("logout", "ok", "KillUserProcesses=no: the backend outlives the login")
    return Row(
        "logout", "warning", "KillUserProcesses=yes: logging out ends the backend and its job",
        (
            f"As root, put these two lines into {DROP_IN}, then: systemctl restart systemd-logind",
            "[Login]",
            "KillUserProcesses=no",
            "Or, without root: loginctl enable-linger, and start with",
            "systemd-run --user --scope sdtui",
        ),
    )  # fmt: skip
