"""Does the demo model do what the prompt says? `python bench/demo_figures.py [--count 256]`.

Every picture is asked for with `sdtui generate` at default settings, in an empty home; the judge
and the colour probes look at it. Beside it: the same pictures against shuffled prompts, what the
VAE lets through, the judge's own accuracy, and one head at 1.5 and 2 times the size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from harness import machine
from PIL import Image

from sdtui.demo import captions, dataset, evaluate, judge, judge_stage, model_dir, vae_stage
from sdtui.demo.labels import LABELS

IN_FLIGHT = 3
"""One is drawn while the next ones' terminals start."""
FIRST = 500_000
"""Number of the first portrait asked for: no training set reaches it."""


@contextmanager
def empty_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sdtui-figures-") as name:
        try:
            yield Path(name)
        finally:
            subprocess.run([sys.executable, "-m", "sdtui", "--home", name, "stop"], check=False)


def generate(home: Path, prompt: str, seed: int, settings: list[str]) -> Image.Image:
    command = [sys.executable, "-m", "sdtui", "--home", str(home), "generate", prompt, "--json"]
    for setting in (f"seed={seed}", *settings):
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"sdtui generate failed: {done.stderr}")
    return Image.open(json.loads(done.stdout)["images"][0]["path"]).convert("RGB")


def pictures(home: Path, count: int, settings: list[str]) -> list[Image.Image]:
    """One picture for each of the first `count` portraits of the test."""
    prompts = [captions.plain(dataset.portrait("test", FIRST + i)) for i in range(count)]
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        jobs = [pool.submit(generate, home, text, i, settings) for i, text in enumerate(prompts)]
        return [job.result() for job in jobs]


def sheet(images: list[Image.Image], columns: int = 8) -> Image.Image:
    width, height = images[0].size
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (columns * width, rows * height))
    for index, image in enumerate(images):
        page.paste(image, (index % columns * width, index // columns * height))
    return page


def vae_lines() -> list[str]:
    vae = AutoencoderKL.from_pretrained(model_dir() / "vae").eval()
    size = 16 * 2 ** (len(vae.config.block_out_channels) - 1)
    base, maid = (vae_stage.psnr(name, vae, size) for name in ("test", "maid"))
    return [f"VAE at {size} px: {base:.2f} dB on held-out drawings, {maid:.2f} dB on the maid"]


def judge_lines() -> list[str]:
    own = judge.load()
    base, maid = (judge_stage.accuracy(own, name) for name in ("test", "maid"))
    said = ", ".join(f"{name} {100 * base[name]:.1f}/{100 * maid[name]:.1f}" for name in LABELS)
    return [f"judge on held-out drawings, base/maid %: {said}"]


def heads(home: Path, count: int, factor: float, size: int) -> str:
    """Share of larger pictures that show one head in its place."""
    side = int(size * factor)
    images = pictures(home, count, [f"width={side}", f"height={side}"])
    seen = judge.look(judge.load(), images)
    one = 100 * float(np.mean([words["heads"] == "one" for words in seen]))
    return f"one head at {side} px: {one:.0f} % of {count}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--larger", type=int, default=16, help="pictures at 1.5 and 2 times")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--sheet", type=Path, help="also save the first 64 pictures as one PNG")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}\n")
    portraits = [dataset.portrait("test", FIRST + i) for i in range(arguments.count)]
    with empty_home() as home:
        images = pictures(home, arguments.count, arguments.settings)
        print("\n".join(evaluate.lines(evaluate.table(portraits, images))), flush=True)
        if arguments.sheet:
            sheet(images[:64]).save(arguments.sheet)
        for factor in (1.5, 2.0):
            if arguments.larger:
                print(heads(home, arguments.larger, factor, images[0].width), flush=True)
    print("\n".join([*vae_lines(), *judge_lines()]))


if __name__ == "__main__":
    main()
