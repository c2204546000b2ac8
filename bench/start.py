"""From the command to the saved picture: cold, and with a warm backend.

    python bench/start.py [-n RUNS] [--set key=value …]

Each row is `sdtui generate` from the start of its process until the picture's file is there (its
path is printed as soon as it is saved). Cold: no backend runs, nothing is loaded. Warm: a backend
runs and has the model in memory. In all but the first row the files have been read before.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import ROOT, table


def saved_s(command: list[str], *more: str) -> tuple[float, float]:
    """(seconds until the picture's path is printed, until the process has ended)."""
    started = time.monotonic()
    process = subprocess.Popen(
        [*command, "generate", "1girl, blue hair", *more], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    path = process.stdout.readline().strip()
    saved = time.monotonic() - started
    if process.wait() or not Path(path).is_file():
        raise SystemExit(f"no picture was made: {path!r}")
    return saved, time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    values = [word for value in arguments.set for word in ("--set", value)]
    rows: list[tuple[str, list[tuple[float, float]]]] = []
    with tempfile.TemporaryDirectory(prefix="sdtui-bench-") as home:
        command = [sys.executable, "-m", "sdtui", "--home", home]
        stop = [*command, "stop"]
        try:
            first = [saved_s(command, *values)]
            warm = [saved_s(command, *values) for _ in range(arguments.n)]
            cold = []
            for _ in range(max(2, arguments.n // 2)):
                subprocess.run(stop, check=False, capture_output=True, cwd=ROOT)
                cold.append(saved_s(command, *values))
            subprocess.run(stop, check=False, capture_output=True, cwd=ROOT)
            local = [saved_s(command, "--local", *values) for _ in range(2)]
        finally:
            subprocess.run(stop, check=False, capture_output=True, cwd=ROOT)
        rows = [("cold, first of all", first), ("cold", cold), ("warm", warm),
                ("--local", local)]  # fmt: skip
    table(
        "from the command to the saved picture of the demo model, seconds",
        ("start", "runs", "saved (median)", "most", "process ended"),
        [
            (name, str(len(taken)), f"{statistics.median(saved for saved, _ in taken):.2f}",
             f"{max(saved for saved, _ in taken):.2f}",
             f"{statistics.median(end for _, end in taken):.2f}")
            for name, taken in rows
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
