"""UniPC: a predictor and a corrector of any order that share their model calls.

Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion
Models", algorithms 5 and 6 (data prediction, multistep), B(h) of the paper's bh1 and bh2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sdtui.diffusion.noise_table import NoiseTable

from .base import Callback, Denoise, Noise, no_callback
from .timestep import NoiseModel, to_vp


@dataclass(frozen=True)
class _Point:
    """A moment of the diffusion: time in (0, 1], the table's t, alpha, sigma (VP) and lambda."""

    time: float
    model_sigma: float
    """sigma (VE) at which the model is asked; log-sigma interpolation, unlike alpha's below."""
    alpha: float
    sigma: float
    lam: float


class _Times:
    """Continuous time over the table: log alpha linear between the levels (appendix of UniPC)."""

    def __init__(self, table: NoiseTable) -> None:
        self.table, self.levels = table, len(table)
        self.grid = np.arange(1, self.levels + 1) / self.levels
        self.log_alphas = 0.5 * np.log(table.alphas_cumprod.double().numpy())

    def at(self, time: float) -> _Point:
        log_alpha = float(np.interp(time, self.grid, self.log_alphas))
        log_sigma = 0.5 * math.log(-math.expm1(2 * log_alpha))
        t = torch.tensor((time - 1 / self.levels) * self.levels, dtype=torch.float64)
        model_sigma = float(self.table.t_to_sigma(t))
        lam = log_alpha - log_sigma
        return _Point(time, model_sigma, math.exp(log_alpha), math.exp(log_sigma), lam)

    def time_of(self, lam: float) -> float:
        """The time at which log(alpha / sigma) is `lam`."""
        log_alpha = -0.5 * math.log1p(math.exp(-2 * lam))
        return float(np.interp(log_alpha, self.log_alphas[::-1], self.grid[::-1]))

    def spaced(self, skip: str, start: float, steps: int) -> list[_Point]:
        """steps + 1 points from `start` down to the first level."""
        end = 1 / self.levels
        if skip == "time_uniform":
            times = np.linspace(start, end, steps + 1)
        elif skip == "time_quadratic":
            times = np.linspace(start**0.5, end**0.5, steps + 1) ** 2
        elif skip == "logSNR":
            lams = np.linspace(self.at(start).lam, self.at(end).lam, steps + 1)
            times = np.array([self.time_of(lam) for lam in lams])
        else:
            raise ValueError(f"skip_type {skip!r}: time_uniform, time_quadratic or logSNR")
        return [self.at(float(time)) for time in times]


def _weights(ratios: list[float], h: float, variant: str) -> tuple[np.ndarray, np.ndarray, float]:
    """(R, b, B(h)) of the paper's linear system for the points at `ratios` of the step."""
    big_b = -h if variant == "bh1" else math.expm1(-h)
    phi, factorial, b = math.expm1(-h) / -h - 1, 1.0, []
    for k in range(1, len(ratios) + 1):
        b.append(phi * factorial / big_b)
        factorial *= k + 1
        phi = phi / -h - 1 / factorial
    rows = np.vander(np.array(ratios), len(ratios), increasing=True).T
    return rows, np.array(b), big_b


def unipc(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    table: NoiseTable | None = None, variant: str = "bh1", order: int = 3,
    skip_type: str = "time_uniform", lower_order_final: bool = True, start: float = 1.0,
) -> Tensor:  # fmt: skip
    """UniPC-p, one model call a step; the last step is only predicted.

    Of `sigmas` it uses the length (its steps) and the first value (the scale of x): its own
    times lie evenly from `start` (1 = all noise) to the first level of `table`.
    """
    if variant not in ("bh1", "bh2"):
        raise ValueError(f"variant must be bh1 or bh2, not {variant!r}")
    steps = len(sigmas)
    order = min(order, steps)
    points = _Times(table or NoiseTable.scaled_linear()).spaced(skip_type, start, steps)
    model, x = NoiseModel(denoise), to_vp(x, float(sigmas[0]))

    def guess(x: Tensor, at: _Point) -> Tensor:
        """The picture the model sees in x (variance-preserving) at this point."""
        return (x - at.sigma * model(x, at.model_sigma)) / at.alpha

    seen = [(points[0], guess(x, points[0]))]  # newest last
    for step in range(1, steps + 1):
        now, (before, last) = points[step], seen[-1]
        callback(step - 1, x * math.sqrt(1 + before.model_sigma**2), last, before.model_sigma)
        p = min(order, step)
        if lower_order_final:
            p = min(p, steps + 1 - step)
        h = now.lam - before.lam
        ratios = [(old.lam - before.lam) / h for old, _ in reversed(seen[-p:-1])]
        slopes = [
            (value - last) / ratio
            for (_, value), ratio in zip(reversed(seen[-p:-1]), ratios, strict=True)
        ]
        rows, b, big_b = _weights([*ratios, 1.0], h, variant)
        base = now.sigma / before.sigma * x - now.alpha * math.expm1(-h) * last
        predicted = [0.5] if p == 2 else np.linalg.solve(rows[:-1, :-1], b[:-1]) if p > 2 else []
        x = base - now.alpha * big_b * _mixed(predicted, slopes, base)
        if step == steps:
            break
        found = guess(x, now)
        corrected = [0.5] if p == 1 else np.linalg.solve(rows, b)
        x = base - now.alpha * big_b * _mixed(corrected, [*slopes, found - last], base)
        seen = [*seen, (now, found)][-order:]
    return x


def _mixed(weights: object, values: list[Tensor], like: Tensor) -> Tensor:
    """The weighted sum of (B,C,H,W) tensors; zeros like `like` when there are none."""
    total = torch.zeros_like(like)
    for weight, value in zip(weights, values, strict=True):  # type: ignore[call-overload]
        total = total + float(weight) * value
    return total
