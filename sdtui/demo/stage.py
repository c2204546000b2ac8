"""What every training stage shares: a budget in CPU seconds, a checkpoint that resumes exactly."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sdtui.library import atomic

SAVE_EVERY_S = 60.0


@dataclass
class Stage:
    """One training run that may be stopped at any moment and goes on from its last checkpoint.

    The learning rate follows the share of the budget that is used, not a number of steps. The clock
    counts CPU seconds, so a busy machine takes longer and makes the same model. A run that goes on
    with a smaller budget is simply further along.
    """

    name: str
    work: Path
    budget_s: float
    """0 only loads the last checkpoint."""
    parts: dict[str, Any]
    """What is saved: modules, optimizers, Ema; whatever has state_dict and load_state_dict."""
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))
    """The only source of random numbers in the loop."""
    seconds: float = 0.0
    seen: int = 0

    def __post_init__(self) -> None:
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.generator.set_state(state["rng"])
            self.seconds, self.seen = state["seconds"], state["seen"]
            print(f"{self.name}: goes on at {self.seconds:.0f} s, {self.seen} pictures", flush=True)

    @property
    def path(self) -> Path:
        return self.work / f"{self.name}.pt"

    @property
    def share(self) -> float:
        """The used part of the budget, 0..1."""
        return min(1.0, self.seconds / self.budget_s) if self.budget_s else 1.0

    def steps(self) -> Iterator[int]:
        """Count steps until the budget is used up; saves every minute and at the end."""
        if self.share == 1:
            return
        step, saved = 0, self.seconds
        while self.share < 1:
            started = time.process_time()
            yield step
            step += 1
            self.seconds += time.process_time() - started
            if self.seconds - saved > SAVE_EVERY_S:
                self.save()
                saved = self.seconds
        self.save()

    def save(self) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"rng": self.generator.get_state(), "seconds": self.seconds, "seen": self.seen}
        buffer = io.BytesIO()
        torch.save(state, buffer)
        atomic.replace_quickly(self.path, buffer.getvalue())

    def pick(self, count: int, size: int) -> Tensor:
        """`size` random indices below `count`."""
        return torch.randint(count, (size,), generator=self.generator)

    def normal(self, shape: torch.Size | tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator)


class Ema:
    """The moving average of parameters; short at first, as there is nothing to average yet."""

    def __init__(self, parameters: list[nn.Parameter], decay: float = 0.999) -> None:
        self.parameters, self.decay, self.updates = parameters, decay, 0
        self.average = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - keep)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange parameters and averages; a second call undoes it."""
        for parameter, average in zip(self.parameters, self.average, strict=True):
            kept = parameter.clone()
            parameter.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = state["updates"]
        for average, loaded in zip(self.average, state["average"], strict=True):
            average.copy_(loaded)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
