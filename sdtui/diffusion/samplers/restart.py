"""Restart sampling: Heun steps that go back to a higher noise level and come down again.

Xu et al. 2023, "Restart Sampling for Improving Generative Processes", algorithm 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from torch import Tensor

from sdtui.diffusion.schedules import karras_range

from .base import Callback, Denoise, Noise, no_callback, slope

Segments = Mapping[float, tuple[int, int, float]]
"""sigma_min -> (sigmas of one return, how many returns, sigma_max)."""


def plan(sigmas: Tensor) -> tuple[Tensor, Segments]:
    """A1111's budget: from 20 steps on, some of them are spent on returns from 0.1 to 2."""
    steps = len(sigmas) - 1
    if steps < 20:
        return sigmas, {}
    spent, times = (steps // 4, 2) if steps >= 36 else (9, 1)
    main = karras_range(steps - spent * times, float(sigmas[-2]), float(sigmas[0]))
    return main.to(sigmas), {0.1: (spent + 1, times, 2.0)}


def step_pairs(sigmas: Tensor, segments: Segments) -> list[tuple[float, float]]:
    """Every step as (sigma, sigma_next) in order, returns included."""

    def nearest(sigma: float) -> int:
        return int((sigmas - sigma).abs().argmin())

    levels = sigmas.tolist()
    returns = {nearest(low): segment for low, segment in segments.items()}
    pairs = []
    for i in range(1, len(levels)):
        pairs.append((levels[i - 1], levels[i]))
        if i not in returns:
            continue
        count, times, high = returns[i]
        if (top := nearest(high)) < i:
            again = karras_range(count, levels[i], levels[top]).tolist()[:-1]
            pairs += list(itertools.pairwise(again)) * times
    return pairs


def restart_sampler(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    s_noise: float = 1.0, restart_list: Segments | None = None,
) -> Tensor:  # fmt: skip
    """Heun steps; where the noise level rises, fresh noise fills the difference."""
    if restart_list is None:
        sigmas, restart_list = plan(sigmas)
    reached = math.inf
    for i, (sigma, sigma_next) in enumerate(step_pairs(sigmas, restart_list)):
        if sigma > reached:
            x = x + noise(reached, sigma) * s_noise * math.sqrt(sigma**2 - reached**2)
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        direction, step = slope(x, sigma, denoised), sigma_next - sigma
        if sigma_next > 0:
            ahead = x + direction * step
            direction = (direction + slope(ahead, sigma_next, denoise(ahead, sigma_next))) / 2
        x, reached = x + direction * step, sigma_next
    return x
