"""Keys and bytes: how soon a key shows while a picture is made, and what the line has to carry.

    python bench/keys.py [-n KEYS]

Targets at 120x36: key to paint p99 <= 50 ms while the demo model generates; a cursor move < 2 kB,
Tab < 5 kB with pictures on screen; watching (previews off) <= 20 kB/s.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time

from harness import PtyProgram, table

CTRL_J, TAB, RIGHT, BACKSPACE = "\n", "\t", "\x1b[C", "\x7f"


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def key_to_paint(program: PtyProgram, count: int) -> list[float]:
    """Milliseconds from each key to its letter on the screen, at the pace of a typist."""
    random.seed(1)
    taken = []
    for _ in range(count):
        while program.read(0):
            pass
        start, pressed = len(program.output), time.monotonic()
        program.send("Ж")
        program.wait_for("Ж", 10, start)
        taken.append((time.monotonic() - pressed) * 1000)
        program.send(BACKSPACE)
        pause = time.monotonic() + random.uniform(0.08, 0.18)
        while time.monotonic() < pause:
            program.read(pause - time.monotonic())
    return taken


def bytes_of(program: PtyProgram, keys: str, count: int) -> list[int]:
    """Bytes written for each press."""
    taken = []
    for _ in range(count):
        program.quiet(0.15)
        program.send(keys)
        taken.append(program.quiet(0.4))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=200)
    count = parser.parse_args().n
    with tempfile.TemporaryDirectory(prefix="sdtui-bench-") as home:
        command = [sys.executable, "-m", "sdtui", "--home", home]
        try:
            # Pictures to have on screen, and a warm backend.
            subprocess.run(
                [*command, "generate", "1girl, blue hair, smile", "-n", "4"],
                check=True, capture_output=True,
            )  # fmt: skip
            program = PtyProgram(command)
            program.wait_for("Prompt")
            program.quiet(2.0)
            idle = key_to_paint(program, count)
            cursor = bytes_of(program, RIGHT, 10)
            tabs = bytes_of(program, TAB, 12)
            program.close()

            job = subprocess.run(
                [*command, "generate", "1girl, red hair", "-n", "500", "--detach"],
                check=True, capture_output=True, text=True,
            ).stdout.strip()  # fmt: skip
            program = PtyProgram(command)
            program.wait_for("Prompt")
            program.quiet(1.0, 4.0)
            busy = key_to_paint(program, count)
            program.close()
            subprocess.run([*command, "stop"], check=False, capture_output=True)

            subprocess.run(
                [*command, "generate", "1girl", "-n", "500", "--detach",
                 "--set", "preview_every=0", "--set", "steps=150"],
                check=True, capture_output=True,
            )  # fmt: skip
            program = PtyProgram(command)
            program.wait_for("Prompt")
            program.quiet(1.0, 5.0)
            before, start = len(program.output), time.monotonic()
            while time.monotonic() - start < 10:
                program.read(0.2)
            watching = (len(program.output) - before) / (time.monotonic() - start)
            program.close()
        finally:
            subprocess.run([*command, "stop"], check=False, capture_output=True)
    table(
        f"keys (job {job} while generating), 120x36",
        ("what", "p50", "p99", "target"),
        [
            ("key to paint, idle, ms", f"{percentile(idle, 0.5):.0f}",
             f"{percentile(idle, 0.99):.0f}", ""),
            ("key to paint, generating, ms", f"{percentile(busy, 0.5):.0f}",
             f"{percentile(busy, 0.99):.0f}", "p99 <= 50"),
            ("cursor move, bytes", f"{percentile(cursor, 0.5)}", f"{max(cursor)}", "< 2000"),
            ("Tab, bytes", f"{percentile(tabs, 0.5)}", f"{max(tabs)}", "< 5000"),
            ("watching, previews off, bytes/s", f"{watching:.0f}", "", "<= 20000"),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
