"""Training the judge on drawings: blurred, tinted and noised, so that it is not picky."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from sdtui.library import atomic

from . import dataset
from .judge import SIZE, WEIGHTS, Judge, look
from .labels import LABELS, classes, values
from .muon import Both
from .stage import Stage
from .vae_stage import to_tensor

BATCH = 32
MAIDS = 600
MONTAGE_SHARE = 8
"""One picture in so many is a montage, which teaches what “one head” is."""
HELD_OUT = 500


def train(work: Path, budget_s: float) -> Judge:
    """The judge, from the base set and `MAIDS` maids (none of the shipped data set)."""
    torch.manual_seed(0)
    judge = Judge()
    optimizer = Both(judge, 0.02, 2e-3, ("features.0", "head"))
    stage = Stage("judge", work, budget_s, {"judge": judge, "optimizer": optimizer})
    pictures, truth = _data(work)
    for step in stage.steps():
        optimizer.rate(min(1.0, (step + 1) / 50) * max(0.01, 1 - stage.share))
        rows = stage.pick(len(pictures), BATCH)
        x = _augment(to_tensor(pictures[rows.numpy()]), stage)
        montage = torch.arange(BATCH) % MONTAGE_SHARE == 0
        x[montage] = torch.stack([_montage(x, stage) for _ in range(int(montage.sum()))])
        *attributes, heads = judge(x)
        loss = F.cross_entropy(heads, (~montage).long())
        for logits, right in zip(attributes, truth[rows].unbind(1), strict=True):
            loss = loss + F.cross_entropy(logits[~montage], right[~montage])
        loss.backward()
        optimizer.step()
        stage.seen += BATCH
        if step % 100 == 99:
            print(f"judge: {stage.seconds:.0f} s, {stage.seen} pictures, loss {loss.item():.3f}",
                  flush=True)  # fmt: skip
    weights = {name: value.half().contiguous() for name, value in judge.state_dict().items()}
    atomic.replace_bytes(WEIGHTS, save(weights), 0o644)
    return judge.eval()


def accuracy(judge: Judge, name: dataset.Set, count: int = HELD_OUT) -> dict[str, float]:
    """Share of right answers per attribute on drawings that it was not trained on."""
    indices = range(10**6, 10**6 + count)
    seen = look(judge, [dataset.picture(name, index) for index in indices])
    said = [values(dataset.portrait(name, index)) for index in indices]
    shares = {key: float(np.mean([a[key] == b[key] for a, b in zip(seen, said, strict=True)]))
              for key in LABELS}  # fmt: skip
    return shares | {"heads": float(np.mean([a["heads"] == "one" for a in seen]))}


def _data(work: Path) -> tuple[np.ndarray, Tensor]:
    """Pictures uint8 (N,128,128,3) and classes (N,attributes)."""
    base = dataset.load(work, "train", SIZE)
    maids = dataset.pixels("maid", range(1000, 1000 + MAIDS))
    truth = [classes(dataset.portrait("train", index)) for index in range(len(base))]
    truth += [classes(dataset.portrait("maid", index)) for index in range(1000, 1000 + MAIDS)]
    return np.concatenate([base, maids]), torch.tensor(truth)


def _augment(x: Tensor, stage: Stage) -> Tensor:
    """Half the batches blurred, all shifted by up to 3 px, tinted a little, noised a little."""
    batch = len(x)
    if stage.pick(2, 1).item():
        small = F.interpolate(x, scale_factor=0.5, mode="area")
        x = F.interpolate(small, size=SIZE, mode="bilinear", align_corners=False)
    dx, dy = (int(value) - 3 for value in stage.pick(7, 2))
    x = torch.roll(F.pad(x, (3, 3, 3, 3), mode="replicate"), (dy, dx), (2, 3))[:, :, 3:-3, 3:-3]
    gain = 1 + 0.04 * stage.normal((batch, 3, 1, 1))
    tint = 0.03 * stage.normal((batch, 3, 1, 1))
    return x * gain + tint + 0.05 * stage.normal(x.shape)


def _montage(x: Tensor, stage: Stage) -> Tensor:
    """Several heads, half a head, or none: what a wrongly sized model draws."""
    a, b, c, d = (x[int(i)] for i in stage.pick(len(x), 4))
    half = SIZE // 2

    def small(picture: Tensor) -> Tensor:
        return F.avg_pool2d(picture[None], 2)[0]

    kind = int(stage.pick(5, 1))
    if kind == 0:
        top, bottom = torch.cat([small(a), small(b)], 2), torch.cat([small(c), small(d)], 2)
        return torch.cat([top, bottom], 1)
    if kind == 1:
        both = torch.cat([small(a), small(b)], 2)
        return torch.cat([both, both.flip(1)[:, :1].expand(-1, half, -1)], 1)
    if kind == 2:
        return torch.cat([a[:, :, half // 2 : -half // 2], b[:, :, half // 2 : -half // 2]], 2)
    if kind == 3:
        return torch.cat([a[:, : SIZE * 5 // 8], b[:, SIZE // 4 : SIZE * 5 // 8]], 1)
    return torch.roll(a, (int(stage.pick(48, 1)) + 40, int(stage.pick(48, 1)) + 40), (1, 2))
