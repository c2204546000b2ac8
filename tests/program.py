"""The program as a person runs it: `python -m sdtui …` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
PATIENCE_S = 120.0
"""Only reached when something is broken: the machine may be busy."""
SMALL = ("--set", "width=64", "--set", "height=64", "--set", "steps=4")
"""A picture of the demo model in a tenth of a second."""
SCRIPTED = {"SDTUI_RUNNER": "tests.fakes:ScriptedRunner"}
"""No torch: the backend does what the prompt says (tests/fakes.py)."""
LONG = ("--set", "width=64", "--set", "height=64", "--set", "steps=30")
"""One that takes long enough to be met in the making."""


class Program:
    """sdtui with a home folder of its own."""

    def __init__(self, home: Path, **extra: str) -> None:
        """`extra`: environment variables of every command and its backend."""
        self.home, self.extra = home, extra

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SDTUI_", "XDG_"))}
        return {
            **kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.fspath(REPOSITORY), **self.extra, **more,
        }  # fmt: skip

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sdtui", "--home", os.fspath(self.home), *words]

    def __call__(
        self, *words: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            self.command(*words), input=stdin, capture_output=True, encoding="utf-8",
            timeout=PATIENCE_S, env=self.environment(**environment),
        )  # fmt: skip

    def start(self, *words: str, **streams: Any) -> subprocess.Popen[str]:
        """Run one command beside the test."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        return subprocess.Popen(
            self.command(*words), stdin=subprocess.DEVNULL, env=self.environment(), text=True,
            **pipes,
        )  # fmt: skip

    def json(self, *words: str, stdin: str = "", **environment: str) -> Any:
        """What a command that succeeds prints as JSON."""
        done = self(*words, "--json", stdin=stdin, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def job(self, number: int) -> dict[str, Any]:
        jobs = {job["job"]: job for job in self.json("status")["jobs"]}
        return jobs[number]

    def job_ended(self, number: int) -> dict[str, Any]:
        """The job, as soon as it has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while (job := self.job(number))["state"] in ("queued", "running"):
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
        return job


def one_sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What is wrong, in one line for a person, with this exit code."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("sdtui: ")
    assert done.returncode == code, lines[0]
    return lines[0]
