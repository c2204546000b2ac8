"""What all sampler loops share: their types, ancestral steps and churn.

A sampler walks x from sigmas[0] down to sigmas[-1]. It sees the model only as `denoise(x, sigma)`,
the best guess of the picture without noise. Scalars are Python floats, so no step waits for the
GPU. Function names follow k-diffusion (Crowson), the vocabulary of the field.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol

from torch import Tensor

Denoise = Callable[[Tensor, float], Tensor]
"""(x (B,C,H,W) with noise of standard deviation sigma, sigma) -> denoised (B,C,H,W)."""

Noise = Callable[[float, float], Tensor]
"""(sigma, sigma_next) -> standard normal noise (B,C,H,W); only Brownian noise looks at the two."""

Callback = Callable[[int, Tensor, Tensor, float], None]
"""(step from 0, x before the step, denoised, sigma), once per step; may raise to cancel."""


class SamplerFunction(Protocol):
    """One sampler. `x` is (B,C,H,W) at sigmas[0]; the result has the noise of sigmas[-1]."""

    def __call__(
        self, denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback,
        **options: object,
    ) -> Tensor: ...  # fmt: skip


def no_callback(step: int, x: Tensor, denoised: Tensor, sigma: float) -> None:
    """The callback of those who do not want one."""


def steps_of(sigmas: Tensor) -> Iterator[tuple[int, float, float]]:
    """(i, sigma, sigma_next) for each step."""
    levels = sigmas.tolist()
    for i in range(len(levels) - 1):
        yield i, levels[i], levels[i + 1]


def slope(x: Tensor, sigma: float, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability flow (Karras et al. 2022, eq. 3); k-diffusion's `to_d`."""
    return (x - denoised) / sigma


def time(sigma: float) -> float:
    """t = -log sigma, the time of DPM-Solver, which rises while noise falls; inf at 0."""
    return -math.log(sigma) if sigma > 0 else math.inf


def ancestral_step(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """(sigma_down, sigma_up): step down to the first, add noise of the second, be at sigma_next."""
    if not eta:
        return sigma_next, 0.0
    full = sigma_next * math.sqrt(max(sigma**2 - sigma_next**2, 0.0)) / sigma
    up = min(sigma_next, eta * full)
    return math.sqrt(sigma_next**2 - up**2), up


def churned(
    x: Tensor, sigma: float, noise: Noise, steps: int,
    s_churn: float, s_tmin: float, s_tmax: float, s_noise: float,
) -> tuple[Tensor, float]:  # fmt: skip
    """Raise x from sigma to sigma_hat by fresh noise (Karras et al. 2022, algorithm 2, lines 4-6).

    Noise is drawn whether needed or not, as k-diffusion does; a source that can `skip` draws
    (`rng.ImageNoise`) is spared the work.
    """
    gamma = min(s_churn / steps, math.sqrt(2) - 1) if s_tmin <= sigma <= s_tmax else 0.0
    sigma_hat = sigma * (gamma + 1)
    if gamma <= 0:
        getattr(getattr(noise, "__self__", None), "skip", lambda: noise(sigma, sigma))()
        return x, sigma_hat
    return x + noise(sigma, sigma_hat) * s_noise * math.sqrt(sigma_hat**2 - sigma**2), sigma_hat
