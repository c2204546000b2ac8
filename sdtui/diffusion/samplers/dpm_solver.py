"""DPM fast and DPM adaptive: DPM-Solver of orders 1 to 3 with its own steps between two sigmas.

Lu et al. 2022, "DPM-Solver", algorithms 1 and 2 and appendix C, for variance-exploding x. Of the
sigma list they use only the first value, the last one that is not 0, and (fast) the length.

Times t = -log sigma are float32 scalars on the CPU, as in the original: rounding decides where
the adaptive one steps, so with more digits the pictures people have could not be made again.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .base import Callback, Denoise, Noise, no_callback


def _sigma(t: Tensor) -> Tensor:
    return t.neg().exp()


class _Solver:
    """Single steps of DPM-Solver in t = -log sigma, keeping eps of the present step's points."""

    def __init__(self, denoise: Denoise) -> None:
        self.denoise = denoise
        self.seen: dict[float, Tensor] = {}

    def eps(self, x: Tensor, t: Tensor, share: float) -> Tensor:
        """The noise in x (B,C,H,W) at t; `share` of the step names the point, asked only once."""
        if share not in self.seen:
            sigma = _sigma(t)
            self.seen[share] = (x - self.denoise(x, float(sigma))) / sigma
        return self.seen[share]

    def step(self, x: Tensor, t: Tensor, end: Tensor, order: int, r1: float) -> Tensor:
        """x at `end` from x at `t`; eps of shares already asked in this step is used again."""
        h, first = end - t, self.eps(x, t, 0.0)
        straight = x - _sigma(end) * h.expm1() * first
        if order == 1:
            return straight
        at_r1 = x - _sigma(t + r1 * h) * (r1 * h).expm1() * first
        second = self.eps(at_r1, t + r1 * h, r1)
        if order == 2:
            return straight - _sigma(end) / (2 * r1) * h.expm1() * (second - first)
        r2 = 2 / 3
        at_r2 = x - _sigma(t + r2 * h) * (r2 * h).expm1() * first
        curve = (r2 * h).expm1() / (r2 * h) - 1
        at_r2 = at_r2 - _sigma(t + r2 * h) * (r2 / r1) * curve * (second - first)
        third = self.eps(at_r2, t + r2 * h, r2)
        return straight - _sigma(end) / r2 * (h.expm1() / h - 1) * (third - first)


FIRST_SHARE = {1: 0.0, 2: 1 / 2, 3: 1 / 3}
"""r1 by order: where in the step the second guess is made."""


def _ends(
    sigmas: Tensor, sigma_min: float | None, sigma_max: float | None
) -> tuple[Tensor, Tensor]:
    """(t at the first sigma, t at the last sigma that is not 0)."""
    levels = [level for level in sigmas.tolist() if level > 0]
    ends = torch.tensor([sigma_max or levels[0], sigma_min or levels[-1]], dtype=torch.float32)
    start, end = ends.log().neg()
    if not start < end:
        raise ValueError("DPM fast and DPM adaptive need two different sigmas: use more steps")
    return start, end


def _lowered(t: Tensor, goal: Tensor, end: Tensor, eta: float) -> tuple[Tensor, float]:
    """(where the solver steps to, the noise to add there) to arrive at `goal` with fresh noise."""
    if not eta:
        return goal, 0.0
    sigma, wanted = _sigma(t), _sigma(goal)
    full = (wanted**2 * (sigma**2 - wanted**2) / sigma**2) ** 0.5
    up = torch.minimum(wanted, eta * full)
    lower = torch.minimum(end, ((wanted**2 - up**2) ** 0.5).log().neg())
    return lower, float((wanted**2 - _sigma(lower) ** 2).clamp_min(0) ** 0.5)


def fast_orders(calls: int) -> list[int]:
    """The orders of the steps that spend `calls` model calls (appendix D.1)."""
    whole, rest = divmod(calls, 3)
    return [3] * (whole - 1) + [2, 1] if rest == 0 else [3] * whole + [rest]


def sample_dpm_fast(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 0.0, s_noise: float = 1.0, n: int | None = None,
    sigma_min: float | None = None, sigma_max: float | None = None,
) -> Tensor:  # fmt: skip
    """DPM-Solver-fast: `n` model calls (default: one per step of the list) in steps of order 3."""
    start, end = _ends(sigmas, sigma_min, sigma_max)
    orders = fast_orders(n or len(sigmas) - 1)
    times = torch.linspace(float(start), float(end), len(orders) + 1)
    solver = _Solver(denoise)
    for i, order in enumerate(orders):
        t, goal = times[i], times[i + 1]
        lower, up = _lowered(t, goal, end, eta)
        solver.seen = {}
        sigma = float(_sigma(t))
        callback(i, x, x - sigma * solver.eps(x, t, 0.0), sigma)
        x = solver.step(x, t, lower, order, FIRST_SHARE[order])
        x = x + noise(sigma, float(_sigma(goal))) * s_noise * up
    return x


class _StepSize:
    """A PID controller of the step size h (Söderlind 2003), as k-diffusion sets it up."""

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
    eta: float = 0.0, s_noise: float = 1.0,
    sigma_min: float | None = None, sigma_max: float | None = None,
) -> Tensor:  # fmt: skip
    """DPM-Solver-12 or -23: steps as large as the tolerances allow; the step count is ignored.

    A step is tried with two orders; their distance is its error, and too large a one is refused.
    """
    if order not in (2, 3):
        raise ValueError(f"order must be 2 or 3, not {order}")
    t, end = _ends(sigmas, sigma_min, sigma_max)
    size = _StepSize(h_init, pcoeff, icoeff, dcoeff, 1.5 if eta else order, accept_safety)
    solver, before, tried, r1 = _Solver(denoise), x, 0, FIRST_SHARE[order]
    while t < end - 1e-5:
        goal = torch.minimum(end, t + size.h)
        lower, up = _lowered(t, goal, end, eta)
        solver.seen = {}
        sigma = float(_sigma(t))
        callback(tried, x, x - sigma * solver.eps(x, t, 0.0), sigma)
        low = solver.step(x, t, lower, order - 1, r1)
        high = solver.step(x, t, lower, order, r1)
        allowed = (rtol * torch.maximum(low.abs(), before.abs())).clamp_min(atol)
        if size.accepts(float(torch.linalg.norm((low - high) / allowed)) / x.numel() ** 0.5):
            before = low
            x = high + noise(sigma, float(_sigma(goal))) * s_noise * up
            t = goal
        tried += 1
    return x
