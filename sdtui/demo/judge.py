"""The judge: a small classifier that tells every attribute from a 128 px picture.

It was trained on drawings only (of the base set and of the maid) and frozen before it saw a
generated picture. It also says whether there is exactly one head where it should be.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from .labels import LABELS

SIZE = 128
WEIGHTS = Path(__file__).resolve().parent / "judge.safetensors"
HEADS = ("other", "one")
WIDTHS = (24, 32, 48, 64)


class Judge(nn.Module):
    """(B,3,128,128) in -1..1 to logits, attribute by attribute, "heads" last."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in WIDTHS:
            for inner, stride in ((before, 2), (width, 1)):
                conv = nn.Conv2d(inner, width, 3, stride=stride, padding=1)
                layers += [conv, nn.GroupNorm(8, width), nn.ReLU()]
            before = width
        self.features = nn.Sequential(*layers)
        self.sizes = [len(choices) for choices in (*LABELS.values(), HEADS)]
        self.head = nn.Linear(before * (SIZE // 2 ** len(WIDTHS)) ** 2, sum(self.sizes))

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        return self.head(self.features(pixels_BCHW).flatten(1)).split(self.sizes, dim=1)


def load() -> Judge:
    """The shipped judge."""
    judge = Judge()
    judge.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return judge.eval().requires_grad_(False)


def to_pixels(image: Image.Image) -> Tensor:
    """(3,128,128) in -1..1; larger pictures are reduced first."""
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    array = np.asarray(image.convert("RGB"), dtype=np.float32) / 127.5 - 1
    return torch.from_numpy(array).permute(2, 0, 1)


@torch.no_grad()
def look(judge: Judge, images: list[Image.Image]) -> list[dict[str, str]]:
    """What the judge sees in each picture: attribute -> class, and "heads" -> one or other."""
    seen: list[dict[str, str]] = []
    names = {**LABELS, "heads": HEADS}
    for start in range(0, len(images), 32):
        batch = torch.stack([to_pixels(image) for image in images[start : start + 32]])
        picks = [logits.argmax(1).tolist() for logits in judge(batch)]
        for row in zip(*picks, strict=True):
            seen.append({n: choices[i] for (n, choices), i in zip(names.items(), row, strict=True)})
    return seen
