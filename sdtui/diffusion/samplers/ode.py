"""Samplers of the probability flow without renewed noise: Euler, Heun, DPM2, LMS.

Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models",
algorithms 1 and 2. `s_churn`, `s_tmin`, `s_tmax` and `s_noise` are its stochastic variant (off).
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from .base import Callback, Denoise, Noise, churned, no_callback, slope, steps_of


def sample_euler(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    s_churn: float = 0.0, s_tmin: float = 0.0, s_tmax: float = math.inf, s_noise: float = 1.0,
) -> Tensor:  # fmt: skip
    """Euler steps: algorithm 2 without its correction."""
    for i, sigma, sigma_next in steps_of(sigmas):
        x, hat = churned(x, sigma, noise, len(sigmas) - 1, s_churn, s_tmin, s_tmax, s_noise)
        denoised = denoise(x, hat)
        callback(i, x, denoised, hat)
        x = x + slope(x, hat, denoised) * (sigma_next - hat)
    return x


def sample_heun(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    s_churn: float = 0.0, s_tmin: float = 0.0, s_tmax: float = math.inf, s_noise: float = 1.0,
) -> Tensor:  # fmt: skip
    """Euler steps corrected by the slope at their end (trapezoid): algorithm 2."""
    for i, sigma, sigma_next in steps_of(sigmas):
        x, hat = churned(x, sigma, noise, len(sigmas) - 1, s_churn, s_tmin, s_tmax, s_noise)
        denoised = denoise(x, hat)
        callback(i, x, denoised, hat)
        direction, step = slope(x, hat, denoised), sigma_next - hat
        if sigma_next > 0:
            ahead = x + direction * step
            direction = (direction + slope(ahead, sigma_next, denoise(ahead, sigma_next))) / 2
        x = x + direction * step
    return x


def sample_dpm_2(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    s_churn: float = 0.0, s_tmin: float = 0.0, s_tmax: float = math.inf, s_noise: float = 1.0,
) -> Tensor:  # fmt: skip
    """The midpoint rule with its midpoint in log sigma (after DPM-Solver-2, Lu et al. 2022)."""
    for i, sigma, sigma_next in steps_of(sigmas):
        x, hat = churned(x, sigma, noise, len(sigmas) - 1, s_churn, s_tmin, s_tmax, s_noise)
        denoised = denoise(x, hat)
        callback(i, x, denoised, hat)
        direction = slope(x, hat, denoised)
        if sigma_next > 0:
            middle = math.sqrt(hat * sigma_next)
            halfway = x + direction * (middle - hat)
            direction = slope(halfway, middle, denoise(halfway, middle))
        x = x + direction * (sigma_next - hat)
    return x


def adams_weights(known: list[float], start: float, end: float) -> list[float]:
    """Integrals from start to end of the Lagrange polynomials through the sigmas `known`."""
    weights = []
    for j, own in enumerate(known):
        others = [other for k, other in enumerate(known) if k != j]
        scale = math.prod(own - other for other in others)
        integral = np.polynomial.Polynomial.fromroots(others).integ() if others else None
        area = (integral(end) - integral(start)) / scale if integral else end - start
        weights.append(float(area))
    return weights


def sample_lms(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    order: int = 4,
) -> Tensor:  # fmt: skip
    """Linear multistep: the slopes of the last `order` steps, Adams-Bashforth on uneven sigmas."""
    seen: list[tuple[float, Tensor]] = []  # newest first
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        seen = [(sigma, slope(x, sigma, denoised)), *seen][:order]
        weights = adams_weights([level for level, _ in seen], sigma, sigma_next)
        for weight, (_, direction) in zip(weights, seen, strict=True):
            x = x + weight * direction
    return x
