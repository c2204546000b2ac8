"""Ancestral samplers: each step goes below its goal and comes up by fresh noise.

They follow the reversed diffusion instead of the noiseless flow (Song et al. 2021), so a picture
goes on changing with more steps. `eta` scales the noise: 1 full, 0 none.
"""

from __future__ import annotations

import math

from torch import Tensor

from .base import Callback, Denoise, Noise, ancestral_step, no_callback, slope, steps_of


def sample_euler_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 1.0, s_noise: float = 1.0,
) -> Tensor:  # fmt: skip
    """Euler steps to sigma_down, then noise of sigma_up."""
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        down, up = ancestral_step(sigma, sigma_next, eta)
        x = x + slope(x, sigma, denoised) * (down - sigma)
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * s_noise * up
    return x


def sample_dpm_2_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 1.0, s_noise: float = 1.0,
) -> Tensor:  # fmt: skip
    """Midpoint steps (midpoint in log sigma) to sigma_down, then noise."""
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        down, up = ancestral_step(sigma, sigma_next, eta)
        direction = slope(x, sigma, denoised)
        if down == 0:
            x = x + direction * (down - sigma)
            continue
        middle = math.sqrt(sigma * down)
        halfway = x + direction * (middle - sigma)
        x = x + slope(halfway, middle, denoise(halfway, middle)) * (down - sigma)
        x = x + noise(sigma, sigma_next) * s_noise * up
    return x


def sample_dpmpp_2s_ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 1.0, s_noise: float = 1.0,
) -> Tensor:  # fmt: skip
    """DPM-Solver++(2S) steps (Lu et al. 2022b, algorithm 1, r = 1/2) to sigma_down, then noise."""
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        down, up = ancestral_step(sigma, sigma_next, eta)
        if down > 0:
            middle = math.sqrt(sigma * down)
            ratio = middle / sigma
            denoised = denoise(ratio * x + (1 - ratio) * denoised, middle)
        x = down / sigma * x + (1 - down / sigma) * denoised
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * s_noise * up
    return x


def sample_lcm(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback,
) -> Tensor:  # fmt: skip
    """Jump to the picture, noise it again to the next sigma (Luo et al. 2023, algorithm 3)."""
    for i, sigma, sigma_next in steps_of(sigmas):
        denoised = denoise(x, sigma)
        callback(i, x, denoised, sigma)
        x = denoised
        if sigma_next > 0:
            x = x + sigma_next * noise(sigma, sigma_next)
    return x
