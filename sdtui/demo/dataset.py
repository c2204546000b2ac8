"""The pictures the model learns from, kept on disk in blocks of a thousand.

A picture is known by its set and its number: the content, the pose, hence every pixel follow from
them, so labels are never stored. Nothing of the maid is in "train" or "vae".
"""

from __future__ import annotations

import io
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
from PIL import Image

from sdtui.library import atomic

from . import captions
from .attributes import Portrait, recolour, sample, sample_maid
from .canvas import Canvas
from .draw import draw_bow, paint

Set = Literal["train", "vae", "test", "maid"]
BLOCK = 1000
PLAN: dict[tuple[Set, int], int] = {
    ("train", 128): 10, ("vae", 128): 3, ("train", 192): 2, ("train", 256): 1,
}  # fmt: skip
"""How many blocks of which set, at how many pixels. Larger pictures show one head drawn larger."""


def portrait(name: Set, index: int) -> Portrait:
    """The content of picture `index` of a set."""
    random = Random(f"{name} {index}")
    if name == "maid":
        return sample_maid(random)
    content = sample(random)
    return recolour(content, random) if name == "vae" else content


def picture(name: Set, index: int, size: int = 128) -> Image.Image:
    """Picture `index` of a set, size x size pixels."""
    canvas = paint(portrait(name, index), index, size)
    if name == "vae":
        _scatter(canvas, Random(f"scatter {index}"))
    return canvas.finished()


def pixels(name: Set, indices: range, size: int = 128) -> np.ndarray:
    """Pictures as uint8 (N,size,size,3)."""
    return np.stack([np.asarray(picture(name, index, size)) for index in indices])


def _scatter(canvas: Canvas, random: Random) -> None:
    """Small things of any colour anywhere, so that the VAE knows more shapes than the portraits."""

    def colour() -> tuple[int, int, int]:
        return random.randint(0, 255), random.randint(0, 255), random.randint(0, 255)

    for _ in range(random.randint(0, 2)):
        x, y = random.uniform(8, 120), random.uniform(8, 120)
        kind = random.randrange(3)
        if kind == 0:
            draw_bow(canvas, x, y, random.uniform(5, 13), random.uniform(4, 8), colour())
        elif kind == 1:
            radius, step = random.uniform(3, 8), random.uniform(6, 10)
            fill, edge = colour(), colour()
            for bead in range(random.randint(1, 6)):
                canvas.ellipse(x, y + bead * step, radius, radius, fill, edge, 1.2)
        else:
            ends = [(x, y), (random.uniform(0, 128), random.uniform(0, 128))]
            canvas.line(ends, colour(), random.uniform(1, 5), smooth=False)


def _block(work: Path, name: Set, size: int, number: int) -> Path:
    return work / "pictures" / f"{name}-{size}-{number:03}.npy"


def draw(work: Path) -> None:
    """Draw every block of the plan that is not there yet (8 ms a picture at 128 px)."""
    for (name, size), blocks in PLAN.items():
        for number in range(blocks):
            path = _block(work, name, size, number)
            if path.exists():
                continue
            block = pixels(name, range(number * BLOCK, (number + 1) * BLOCK), size)
            buffer = io.BytesIO()
            np.save(buffer, block)
            atomic.replace_bytes(path, buffer.getvalue())
            print(f"draw: {path.name}", flush=True)


def load(work: Path, name: Set, size: int) -> np.ndarray:
    """The first whole blocks of a set, uint8 (N,size,size,3); row i is picture i."""
    blocks, number = [], 0
    while (path := _block(work, name, size, number)).exists():
        blocks.append(np.load(path))
        number += 1
    if not blocks:
        raise FileNotFoundError(f"no pictures at {path}: run `python -m sdtui.demo.build draw`")
    return np.concatenate(blocks)


def write_maid(folder: Path, count: int = 20) -> None:
    """The example data set for training: pictures of the maid and their captions."""
    for index in range(count):
        buffer = io.BytesIO()
        picture("maid", index).save(buffer, "PNG", optimize=True)
        atomic.replace_bytes(folder / f"maid-{index + 1:02}.png", buffer.getvalue(), 0o644)
        text = captions.maid_caption(portrait("maid", index))
        atomic.replace_text(folder / f"maid-{index + 1:02}.txt", f"{text}\n", 0o644)
