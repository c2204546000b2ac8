"""DPM-Solver++: exact in the linear part, a polynomial in log sigma for the rest.

Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling", written for variance-exploding x
(alpha = 1, so lambda = t = -log sigma and h = t_next - t). The SDE forms are theirs (appendix)
and Crowson's; their noise comes from a Brownian path: `noise(sigma, sigma_next)` is its
normalised increment, so that steps of other sizes see the same path.
"""

from __future__ import annotations

import math

from torch import Tensor

from .base import Callback, Denoise, Noise, ancestral_step, no_callback, steps_of, time


def sample_dpmpp_2m(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback,
) -> Tensor:  # fmt: skip
    """DPM-Solver++(2M), algorithm 2: the last two guesses extrapolated to mid-step."""
    previous: tuple[float, Tensor] | None = None
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        target = denoised
        if previous is not None and sigma_next > 0:
            ratio = (time(sigma_next) - time(sigma)) / (time(sigma) - time(previous[0])) / 2
            target = (1 + ratio) * denoised - ratio * previous[1]
        x = sigma_next / sigma * x + (1 - sigma_next / sigma) * target
        previous = (sigma, denoised)
    return x


def sample_dpmpp_sde(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 1.0, s_noise: float = 1.0, r: float = 0.5,
) -> Tensor:  # fmt: skip
    """DPM-Solver++ (stochastic, singlestep): a second guess at the share r of the step."""
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        if sigma_next == 0:
            x = denoised
            continue
        middle = sigma ** (1 - r) * sigma_next**r
        down, up = ancestral_step(sigma, middle, eta)
        inner = down / sigma * x + (1 - down / sigma) * denoised
        inner = inner + noise(sigma, middle) * s_noise * up
        second = denoise(inner, middle)
        target = (1 - 1 / (2 * r)) * denoised + 1 / (2 * r) * second
        down, up = ancestral_step(sigma, sigma_next, eta)
        x = down / sigma * x + (1 - down / sigma) * target
        x = x + noise(sigma, sigma_next) * s_noise * up
    return x


def sample_dpmpp_2m_sde(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 1.0, s_noise: float = 1.0, solver_type: str = "midpoint",
) -> Tensor:  # fmt: skip
    """SDE-DPM-Solver++(2M); `solver_type` "midpoint" or "heun" weighs the change of the guess."""
    if solver_type not in ("midpoint", "heun"):
        raise ValueError(f"solver_type must be midpoint or heun, not {solver_type!r}")
    previous: tuple[float, Tensor] | None = None  # h and the guess of the step before
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        if sigma_next == 0:
            x = denoised
            continue
        h = time(sigma_next) - time(sigma)
        span = h * (1 + eta)
        x = math.exp(-span) * x - math.expm1(-span) * denoised
        if previous is not None:
            weight = -math.expm1(-span) / 2
            if solver_type == "heun":
                weight = 1 + math.expm1(-span) / span
            x = x + weight * h / previous[0] * (denoised - previous[1])
        if eta:
            up = sigma_next * math.sqrt(-math.expm1(-2 * h * eta)) * s_noise
            x = x + noise(sigma, sigma_next) * up
        previous = (h, denoised)
    return x


def sample_dpmpp_3m_sde(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 1.0, s_noise: float = 1.0,
) -> Tensor:  # fmt: skip
    """SDE-DPM-Solver++(3M): first and second differences of the last three guesses."""
    seen: list[tuple[float, Tensor]] = []  # (h, guess) of the steps before, newest first
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        if sigma_next == 0:
            x = denoised
            continue
        h = time(sigma_next) - time(sigma)
        span = h * (1 + eta)
        x = math.exp(-span) * x - math.expm1(-span) * denoised
        phi_2 = math.expm1(-span) / span + 1
        if len(seen) == 2:
            r0, r1 = seen[0][0] / h, seen[1][0] / h
            near = (denoised - seen[0][1]) / r0
            bend = (near - (seen[0][1] - seen[1][1]) / r1) / (r0 + r1)
            x = x + phi_2 * (near + bend * r0) - (phi_2 / span - 0.5) * bend
        elif seen:
            x = x + phi_2 * (denoised - seen[0][1]) * h / seen[0][0]
        if eta:
            up = sigma_next * math.sqrt(-math.expm1(-2 * h * eta)) * s_noise
            x = x + noise(sigma, sigma_next) * up
        seen = [(h, denoised), *seen][:2]
    return x
