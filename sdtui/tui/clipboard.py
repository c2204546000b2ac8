"""Copying to the clipboard of the terminal in front of the person, over SSH and through tmux."""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import shlex
import socket
import subprocess
from pathlib import Path


def osc52(text: str, *, tmux: bool) -> str:
    """The sequence that puts `text` into the terminal's clipboard.

    tmux takes it only with `set-clipboard on`; wrapped, it reaches the terminal round tmux where
    passthrough is allowed. Both are sent: the same text twice does no harm.
    """
    plain = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"
    if not tmux:
        return plain
    doubled = plain.replace("\x1b", "\x1b\x1b")
    return f"{plain}\x1bPtmux;{doubled}\x1b\\"


def to_tmux(text: str) -> None:
    """Put `text` into tmux's buffer and, by tmux, into the terminal's clipboard.

    tmux's default (`set-clipboard external`) ignores programs inside it, but not its own command.
    """
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = ["tmux", "load-buffer", "-w", "-"]
        subprocess.run(command, input=text.encode(), capture_output=True, check=False, timeout=5)


def scp_line(path: str) -> str:
    """The command that fetches the file to the machine one sits at: `scp user@host:path .`

    The host is the address that this SSH connection came in on, else this machine's name.
    """
    parts = os.environ.get("SSH_CONNECTION", "").split()
    host = parts[2] if len(parts) == 4 else socket.gethostname()
    if ":" in host:
        host = f"[{host}]"
    return f"scp {shlex.quote(f'{getpass.getuser()}@{host}:{Path(path)}')} ."
