"""DPM fast and DPM adaptive: DPM-Solver of orders 1 to 3 with its own steps between two sigmas.

Lu et al. 2022, "DPM-Solver", algorithms 1 and 2 and appendix C, for variance-exploding x. Of the
sigma list they use only the first value, the last one that is not 0, and (fast) the length.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .base import Callback, Denoise, Noise, ancestral_step, no_callback, time


class _Solver:
    """Single steps of DPM-Solver in t = -log sigma, keeping eps of the present step's points."""

    def __init__(self, denoise: Denoise) -> None:
        self.denoise = denoise
        self.seen: dict[float, Tensor] = {}

    def eps(self, x: Tensor, t: float, share: float) -> Tensor:
        """The noise in x (B,C,H,W) at t; `share` of the step names the point, asked only once."""
        if share not in self.seen:
            sigma = math.exp(-t)
            self.seen[share] = (x - self.denoise(x, sigma)) / sigma
        return self.seen[share]

    def step(self, x: Tensor, t: float, end: float, order: int, r1: float | None = None) -> Tensor:
        """x at `end` from x at `t`; eps of shares already asked in this step is used again."""
        h, first = end - t, self.eps(x, t, 0.0)
        straight = x - math.exp(-end) * math.expm1(h) * first
        if order == 1:
            return straight
        r1 = r1 or (1 / 2 if order == 2 else 1 / 3)
        at_r1 = x - math.exp(-(t + r1 * h)) * math.expm1(r1 * h) * first
        second = self.eps(at_r1, t + r1 * h, r1)
        if order == 2:
            return straight - math.exp(-end) / (2 * r1) * math.expm1(h) * (second - first)
        r2 = 2 / 3
        curve = math.expm1(r2 * h) / (r2 * h) - 1
        at_r2 = x - math.exp(-(t + r2 * h)) * (
            math.expm1(r2 * h) * first + r2 / r1 * curve * (second - first)
        )
        third = self.eps(at_r2, t + r2 * h, r2)
        return straight - math.exp(-end) / r2 * (math.expm1(h) / h - 1) * (third - first)


def _ends(sigmas: Tensor, sigma_min: float | None, sigma_max: float | None) -> tuple[float, float]:
    """(t at the first sigma, t at the last sigma that is not 0)."""
    levels = [level for level in sigmas.tolist() if level > 0]
    start, end = time(sigma_max or levels[0]), time(sigma_min or levels[-1])
    if not start < end:
        raise ValueError("DPM fast and DPM adaptive need at least two different sigmas")
    return start, end


def _lowered(t: float, goal: float, end: float, eta: float) -> tuple[float, float]:
    """(where the solver steps to, the noise to add there) to arrive at `goal` with fresh noise."""
    if not eta:
        return goal, 0.0
    down, _ = ancestral_step(math.exp(-t), math.exp(-goal), eta)
    lower = min(end, time(down))
    return lower, math.sqrt(max(math.exp(-2 * goal) - math.exp(-2 * lower), 0.0))


def fast_orders(calls: int) -> list[int]:
    """The orders of the steps that spend `calls` model calls (appendix D.1)."""
    whole, rest = divmod(calls, 3)
    return [3] * (whole - 1) + [2, 1] if rest == 0 else [3] * whole + [rest]


def sample_dpm_fast(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 1.0, s_noise: float = 1.0, n: int | None = None,
    sigma_min: float | None = None, sigma_max: float | None = None,
) -> Tensor:  # fmt: skip
    """DPM-Solver-fast: `n` model calls (default: one per step of the list) in steps of order 3."""
    start, end = _ends(sigmas, sigma_min, sigma_max)
    orders = fast_orders(n or len(sigmas) - 1)
    solver, width = _Solver(denoise), (end - start) / len(orders)
    for i, order in enumerate(orders):
        t = start + i * width
        goal = end if i + 1 == len(orders) else t + width
        lower, up = _lowered(t, goal, end, eta)
        solver.seen = {}
        sigma = math.exp(-t)
        callback(i, x, x - sigma * solver.eps(x, t, 0.0), sigma)
        x = solver.step(x, t, lower, order)
        x = x + noise(sigma, math.exp(-goal)) * s_noise * up
    return x


class _StepSize:
    """A PID controller of the step size h (Söderlind 2003); k-diffusion's, order by order."""

    def __init__(
        self, h: float, pcoeff: float, icoeff: float, dcoeff: float, order: float, safety: float
    ) -> None:
        self.h, self.safety = h, safety
        total, slope = pcoeff + icoeff + dcoeff, -(pcoeff + 2 * dcoeff)
        self.powers = (total / order, slope / order, dcoeff / order)
        self.inverses: list[float] = []

    def accepts(self, error: float) -> bool:
        """Whether a step with this error (1 = just allowed) stands; h becomes the next size."""
        inverse = 1 / (error + 1e-8)
        self.inverses = [inverse, *(self.inverses[1:] or [inverse, inverse])]
        factor = math.prod(e**p for e, p in zip(self.inverses, self.powers, strict=True))
        factor = 1 + math.atan(factor - 1)
        self.h *= factor
        if factor < self.safety:
            return False
        self.inverses = [inverse, inverse, self.inverses[1]]
        return True


def sample_dpm_adaptive(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    order: int = 3, rtol: float = 0.05, atol: float = 0.0078, h_init: float = 0.05,
    pcoeff: float = 0.0, icoeff: float = 1.0, dcoeff: float = 0.0, accept_safety: float = 0.81,
    eta: float = 1.0, s_noise: float = 1.0,
    sigma_min: float | None = None, sigma_max: float | None = None,
) -> Tensor:  # fmt: skip
    """DPM-Solver-12 or -23: steps as large as the tolerances allow; the step count is ignored.

    A step is tried with two orders; their distance is its error, and too large a one is refused.
    """
    if order not in (2, 3):
        raise ValueError(f"order must be 2 or 3, not {order}")
    t, end = _ends(sigmas, sigma_min, sigma_max)
    size = _StepSize(h_init, pcoeff, icoeff, dcoeff, 1.5 if eta else order, accept_safety)
    solver, before, tried = _Solver(denoise), x, 0
    while t < end - 1e-5:
        goal = min(end, t + size.h)
        lower, up = _lowered(t, goal, end, eta)
        solver.seen = {}
        sigma = math.exp(-t)
        callback(tried, x, x - sigma * solver.eps(x, t, 0.0), sigma)
        low = solver.step(x, t, lower, order - 1, r1=1 / 3 if order == 3 else None)
        high = solver.step(x, t, lower, order)
        allowed = (rtol * torch.maximum(low.abs(), before.abs())).clamp_min(atol)
        error = float(torch.linalg.norm((low - high) / allowed)) / x.numel() ** 0.5
        if size.accepts(error):
            before = low
            x = high + noise(sigma, math.exp(-goal)) * s_noise * up
            t = goal
        tried += 1
    return x
