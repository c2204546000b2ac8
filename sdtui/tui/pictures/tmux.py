"""What tmux says about the terminal behind it. tmux itself is asked, never the terminal.

A bare graphics sequence inside tmux would become the pane's title, so it must be wrapped
(tmux manual, “allow-passthrough”) and tmux must be told to let it through.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

FORMAT = (
    "#{client_pid}\t#{client_termtype}\t#{client_termname}\t#{client_termfeatures}\t"
    "#{allow-passthrough}\t#{?window_zoomed_flag,#{pane_active},#{window_active}}"
)
ANSWER_S = 2.0


@dataclass(frozen=True)
class Client:
    """The terminal attached to our tmux session, in tmux's words."""

    pid: str = ""
    """Of the attached tmux client; “” while detached."""
    termtype: str = ""
    """Name and version the terminal gave itself, e.g. “kitty(0.41.0)”; “” if it gave none."""
    termname: str = ""
    """TERM of the client."""
    features: tuple[str, ...] = ()
    passthrough: str = ""
    """“1”, “on”, “all” or “0”, “off”; “” in tmux before 3.3, which lets everything through."""
    visible: bool = True
    """False while another window, or another zoomed pane, covers ours."""


def inside() -> bool:
    """Whether this program runs in a pane of tmux."""
    return bool(os.environ.get("TMUX"))


def _tmux(*arguments: str) -> str:
    done = subprocess.run(
        ["tmux", *arguments], capture_output=True, text=True, timeout=ANSWER_S, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout


def _pane() -> tuple[str, ...]:
    pane = os.environ.get("TMUX_PANE", "")
    return ("-t", pane) if pane else ()


def ask() -> Client | None:
    """The client as it is now; None if tmux does not answer (hung, gone or not installed)."""
    try:
        line = _tmux("display-message", "-p", *_pane(), FORMAT).rstrip("\n")
    except (OSError, subprocess.SubprocessError):
        return None
    fields = line.split("\t")
    if len(fields) != 6:
        return None
    pid, termtype, termname, features, passthrough, visible = fields
    return Client(pid, termtype, termname, tuple(features.split(",")), passthrough, visible != "0")


def allow_passthrough(client: Client) -> bool:
    """Let sequences of our own pane through; False if tmux refuses."""
    if client.passthrough not in ("off", "0"):
        return True
    try:
        _tmux("set-option", "-p", *_pane(), "allow-passthrough", "on")
    except (OSError, subprocess.SubprocessError):
        return False
    return True


WRAP_LINES = "\x1b[?7h"
"""Textual turns line wrap off; then tmux 3.3 puts the combining characters of the last column on
the cell before it, and a picture there loses two columns."""


def wrap(sequence: str) -> str:
    """One escape sequence so that tmux hands it to the terminal."""
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
