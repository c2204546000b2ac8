"""LoRAs put into a model and taken out again: seconds, and the memory that it takes.

    python bench/lora.py              the demo model
    python bench/lora.py --full       and an SD 1.5 of full size with random weights: its file of
                                      2.1 GB is written to --tmp and deleted afterwards

"another" is the change from one LoRA to another of the same kind. Memory is what the process has
of its own (not the mapped file), after less before.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import ROOT, table

sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import make_model

KINDS = ("lora", "loha", "lokr", "dora")
HEAD = ("model", "LoRA", "MB", "modules", "put in s (CPU s)", "another s (CPU s)", "again ms",
        "taken out ms", "memory MB", "same bytes")  # fmt: skip


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def own_memory_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1e3
    raise RuntimeError("no RssAnon in /proc/self/status")


def checksum(model: Any) -> tuple[float, ...]:
    """Changes with every bit of the weights (sums of the bytes as they lie)."""
    import torch

    return tuple(
        int(one.contiguous().view(torch.uint8).sum(dtype=torch.int64))
        for part in (model.unet, *model.text_encoders)
        for one in part.state_dict().values()
    )


def row(model: Any, kind: str, files: list[Path]) -> tuple[str, ...]:
    from sdtui.diffusion.device import give_memory_back
    from sdtui.diffusion.lora import LoraPatcher, LoraUse

    patcher = LoraPatcher(model)
    first, second = (LoraUse(path.stem, path, 0.8, 0.8) for path in files)
    own = checksum(model)
    give_memory_back()
    before = own_memory_mb()
    put_in = timed(lambda: patcher.apply([first]))
    taken = own_memory_mb() - before
    again = timed(lambda: patcher.apply([first]))
    another = timed(lambda: patcher.apply([second]))
    modules = patcher.apply([second])[0].matched
    out = timed(patcher.restore)
    return (
        model.name, kind, f"{files[0].stat().st_size / 1e6:.1f}", str(modules),
        f"{put_in[0]:.2f} ({put_in[1]:.2f})", f"{another[0]:.2f} ({another[1]:.2f})",
        f"{again[0] * 1e3:.1f}", f"{out[0] * 1e3:.1f}", f"{taken:.0f}",
        "yes" if checksum(model) == own else "NO",
    )  # fmt: skip


def rows(
    model: Any, kinds: Sequence[str], make: Callable[[Path, str, int], Path], folder: Path
) -> list[tuple[str, ...]]:
    found = []
    for kind in kinds:
        files = [make(folder / f"{kind}{seed}.safetensors", kind, seed) for seed in (1, 2)]
        found.append(row(model, kind, files))
        for file in files:
            file.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="also an SD 1.5 of full size")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind of LoRA")
    parser.add_argument("--tmp", type=Path, help="folder for the files")
    asked = parser.parse_args()

    import torch

    from sdtui import demo
    from sdtui.diffusion.load import load_model

    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    kinds = asked.kind or KINDS
    found: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory(dir=asked.tmp) as name:
        folder = Path(name)
        model = load_model("demo", demo.model_dir(), "demo", device, lambda part: None)
        found += rows(
            model,
            kinds,
            lambda path, kind, seed: make_model.lora_for_folder(
                path, demo.model_dir(), algorithm=kind, seed=seed
            ),
            folder,
        )
        if asked.full:
            path = make_model.checkpoint(folder / "sd15.safetensors", "sd15")
            half = torch.float16  # as on a GPU: the model's own weights are views of the file
            model = load_model("sd15", path, "sd15", device, lambda part: None, dtype=half)
            found += rows(
                model,
                kinds,
                lambda path, kind, seed: make_model.lora(
                    path, "sd15", algorithm=kind, rank=asked.rank, seed=seed
                ),
                folder,
            )
    table(
        f"LoRAs put in and taken out, on {device}, {torch.get_num_threads()} threads", HEAD, found
    )


if __name__ == "__main__":
    main()
