"""From the start of the process to the first frame, and until a typed key is on the screen.

    python bench/first_frame.py [-n RUNS]

sdtui is measured beside a Textual hello-world, turn and turn about; the backend already runs
(attaching, the usual case) and, apart, when it has to be started. Targets: first frame <= 1.5 x
hello, key taken <= 3 x hello.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile

from harness import ROOT, PtyProgram, table

HELLO = [sys.executable, str(ROOT / "bench" / "hello.py")]


def measure(argv: list[str], marker: str, key: str = "Ж") -> tuple[float, float]:
    """(seconds to first frame, seconds until a key pressed from the first frame on shows)."""
    program = PtyProgram(argv)
    try:
        frame = program.wait_for(marker)
        program.send(key)
        return frame, program.wait_for(key)
    finally:
        program.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=7)
    runs = parser.parse_args().n
    with tempfile.TemporaryDirectory(prefix="sdtui-bench-") as home:
        sdtui = [sys.executable, "-m", "sdtui", "--home", home]
        measure(HELLO, "yardstick")
        measure(sdtui, "Prompt")  # warm caches, starts the backend
        rows: dict[str, list[tuple[float, float]]] = {
            "hello": [], "sdtui": [], "sdtui, no backend": [],
        }  # fmt: skip
        for _ in range(runs):
            rows["hello"].append(measure(HELLO, "yardstick"))
            rows["sdtui"].append(measure(sdtui, "Prompt"))
        for _ in range(max(1, runs // 2)):
            subprocess.run([*sdtui[:3], "--home", home, "stop"], check=False, capture_output=True)
            rows["sdtui, no backend"].append(measure(sdtui, "Prompt"))
        subprocess.run([*sdtui[:3], "--home", home, "stop"], check=False, capture_output=True)
    base = [statistics.median(column) for column in zip(*rows["hello"], strict=True)]
    table(
        f"start-up at 120x36, medians of {runs} (seconds; ratio to hello; targets 1.5 and 3)",
        ("program", "first frame", "ratio", "key shown", "ratio"),
        [
            (name, f"{frame:.2f}", f"{frame / base[0]:.2f}", f"{key:.2f}", f"{key / base[1]:.2f}")
            for name, values in rows.items()
            for frame, key in [[statistics.median(column) for column in zip(*values, strict=True)]]
        ],
    )


if __name__ == "__main__":
    main()
