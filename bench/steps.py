"""What the program adds to the U-Net: a job's steps beside the same U-Net called bare in a loop.

    python bench/steps.py [-n RUNS] [--checkpoint FILE_OR_FOLDER] [--set key=value …]

The job runs as in the backend (sampler, guidance, reports, cancel checks, previews); every U-Net
call's input is kept, and the same U-Net is then called with the same inputs in a bare loop, same
threads, turn and turn about. Target: from the first to the last U-Net call <= 5 % over the bare
loop (median of the pairs' ratios). Text, VAE and PNG stand apart.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import ROOT, table

sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@dataclass(frozen=True)
class Clock:
    """Seconds on the wall, and of CPU time of this process."""

    wall_s: float = field(default_factory=time.perf_counter)
    cpu_s: float = field(default_factory=time.process_time)

    def since(self, start: Clock) -> Clock:
        return Clock(self.wall_s - start.wall_s, self.cpu_s - start.cpu_s)


@dataclass
class Calls:
    """The U-Net calls of one job: when they were, and with what."""

    module: Any = None
    inputs: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    first: Clock | None = None
    last: Clock | None = None

    def watch(self, kind: type) -> None:
        """Note every call of modules of this class from now on."""
        forward = kind.forward

        def noted(module: Any, *args: Any, **kwargs: Any) -> Any:
            self.first = self.first or Clock()
            self.module = module
            self.inputs.append((args, kwargs))
            result = forward(module, *args, **kwargs)
            self.last = Clock()
            return result

        kind.forward = noted

    def begin(self) -> None:
        self.inputs, self.first = [], None

    @property
    def span(self) -> Clock:
        """From the first call to the end of the last."""
        assert self.first and self.last
        return self.last.since(self.first)

    def bare(self) -> Clock:
        """The same calls one after another, with nothing between them."""
        import torch

        inputs = list(self.inputs)
        with torch.inference_mode():
            started = Clock()
            for args, kwargs in inputs:
                self.module(*args, **kwargs)
            return Clock().since(started)


class Report:
    """Stands in for the backend: notes when each phase began."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.saved: list[tuple[float, str]] = []

    def __call__(self, event: Any) -> None:
        event.model_dump_json()  # what the backend does with it at least
        phase = getattr(getattr(event, "progress", None), "phase", None)
        if phase:
            self.began.setdefault(phase, time.perf_counter())
        if hasattr(event, "image"):
            self.saved.append((time.perf_counter(), event.image.path))


def run_job(runner: Any, params: dict[str, Any]) -> Report:
    from sdtui.backend.protocol import JobView

    report = Report()
    runner.run(JobView(job=1, state="running", params=params), report, threading.Event())
    return report


def png_s(path: str) -> float:
    """Seconds to encode a picture as PNG."""
    from PIL import Image

    with Image.open(path) as image:
        image.load()
        started = time.perf_counter()
        image.save(io.BytesIO(), "PNG")
        return time.perf_counter() - started


def compare(runner: Any, calls: Calls, params: dict[str, Any], runs: int) -> tuple[str, ...]:
    """One row: the job and the bare loop, in pairs."""
    run_job(runner, params)  # the model is loaded, memory is warm
    calls.bare()
    steps, bares, texts, vaes, pngs = [], [], [], [], []
    for turn in range(runs):
        if turn % 2:
            bares.append(calls.bare())
        calls.begin()
        report = run_job(runner, params)
        steps.append(calls.span)
        if not turn % 2:
            bares.append(calls.bare())
        assert calls.first
        texts.append(calls.first.wall_s - report.began["text"])
        saved_s, path = report.saved[0]
        pngs.append(png_s(path))
        vaes.append(saved_s - report.began["decoding"] - pngs[-1])
    pairs = list(zip(steps, bares, strict=True))
    over = statistics.median(a.wall_s / b.wall_s for a, b in pairs) - 1
    over_cpu = statistics.median(a.cpu_s / b.cpu_s for a, b in pairs) - 1
    count = len(calls.inputs)
    millis = [f"{statistics.median(values) * 1000:.1f}" for values in (texts, vaes, pngs)]
    return (
        f"{params['width']}x{params['height']}", str(params["batch_size"]),
        str(params["preview_every"]), str(count),
        f"{statistics.median(a.wall_s for a in steps) / count * 1000:.1f}",
        f"{statistics.median(b.wall_s for b in bares) / count * 1000:.1f}",
        f"{over:+.1%}", f"{over_cpu:+.1%}", *millis,
    )  # fmt: skip


def parameters(places: Any, checkpoint: str, values: list[str]) -> list[dict[str, Any]]:
    """The jobs to measure: with previews and without, one picture and a batch."""
    from sdtui.library import catalog
    from sdtui.params.generate import GenerateParams
    from sdtui.params.layers import Settings

    settings = Settings(GenerateParams).with_layer(
        catalog.model_layer(catalog.find(places, checkpoint)), over="model"
    )
    said = dict(value.split("=", 1) for value in values)
    base = {"prompt": "1girl, blue hair", "seed": 1, "checkpoint": checkpoint, **said}
    jobs = []
    for preview_every, batch_size in ((2, 1), (0, 1), (2, 4)):
        more = {"preview_every": preview_every, "batch_size": batch_size}
        params = GenerateParams.model_validate({**settings.values(), **more, **base})
        jobs.append(params.model_dump())
    return jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=7, help="pairs")
    parser.add_argument("--checkpoint", type=Path, help="another model than the demo")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()

    from sdtui.library.places import find_places

    with tempfile.TemporaryDirectory(prefix="sdtui-bench-") as home:
        places = find_places(home).prepare()
        name = "demo"
        if arguments.checkpoint:
            source = arguments.checkpoint.resolve()
            (places.models / source.name).symlink_to(source)
            name = source.name.removesuffix(".safetensors")
        import torch
        from diffusers import UNet2DConditionModel

        from sdtui.backend.worker import GenerateRunner

        calls = Calls()
        calls.watch(UNet2DConditionModel)
        runner = GenerateRunner(arguments.device, places)
        rows = [compare(runner, calls, params, arguments.n)
                for params in parameters(places, name, arguments.set)]  # fmt: skip
        size = sum(p.numel() for p in calls.module.parameters()) / 1e6
        table(
            f"steps of {name} ({size:.0f} M parameters, {torch.get_num_threads()} threads, "
            f"{arguments.device}), medians of {arguments.n} pairs, target <= +5 %",
            ("size", "batch", "preview", "calls", "ms/call", "bare", "over bare", "CPU over",
             "text ms", "VAE+save ms", "PNG ms"), rows,
        )  # fmt: skip


if __name__ == "__main__":
    main()
