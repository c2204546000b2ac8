"""Samplers that walk integer timesteps in the variance-preserving form: DDIM, DDIM CFG++, PLMS.

They take and give what every other sampler does, x with noise of standard deviation sigma, and
change the form inside: x_vp = x / sqrt(1 + sigma^2), alpha_cumprod a = 1 / (1 + sigma^2). Their
sigma list has no closing 0: as in A1111 they stop at the last timestep of the list (t = 1) and
hand out x_vp there. A list of n sigmas makes n - 1 steps.
"""

from __future__ import annotations

import math

from torch import Tensor

from .base import Callback, Denoise, Noise, no_callback, steps_of


class NoiseModel:
    """The model seen as eps(x_vp, sigma), the noise it finds in x_vp (B,C,H,W)."""

    def __init__(self, denoise: Denoise) -> None:
        self.denoise = denoise

    def __call__(self, x_vp: Tensor, sigma: float) -> Tensor:
        x = x_vp * math.sqrt(1 + sigma**2)
        return (x - self.denoise(x, sigma)) / sigma

    def unconditional(self, x_vp: Tensor, sigma: float, eps: Tensor) -> Tensor:
        """eps for the negative prompt alone, of the call just made.

        Taken from `denoise.last_uncond`, the (B,C,H,W) guess before guidance; a denoiser without
        it makes no guidance, then `eps` is the answer.
        """
        uncond = getattr(self.denoise, "last_uncond", None)
        return eps if uncond is None else (x_vp * math.sqrt(1 + sigma**2) - uncond) / sigma


def to_vp(x: Tensor, sigma: float) -> Tensor:
    """x with noise of standard deviation sigma -> x of unit variance."""
    return x / math.sqrt(1 + sigma**2)


def alpha(sigma: float) -> float:
    """alpha_cumprod at sigma."""
    return 1 / (1 + sigma**2)


def ddim(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 0.0, cfgpp: bool = False,
) -> Tensor:  # fmt: skip
    """Song et al. 2021, "Denoising Diffusion Implicit Models", eq. 12 and 16 (eta).

    With `cfgpp` the way back uses the noise found without guidance: Chung et al. 2024, "CFG++".
    """
    model, x = NoiseModel(denoise), to_vp(x, float(sigmas[0]))
    for i, sigma, sigma_next in steps_of(sigmas):
        eps = model(x, sigma)
        a, a_next = alpha(sigma), alpha(sigma_next)
        denoised = (x - math.sqrt(1 - a) * eps) / math.sqrt(a)
        callback(i, x * math.sqrt(1 + sigma**2), denoised, sigma)
        up = eta * math.sqrt((1 - a_next) / (1 - a) * (1 - a / a_next))
        back = model.unconditional(x, sigma, eps) if cfgpp else eps
        x = math.sqrt(a_next) * denoised + math.sqrt(1 - a_next - up**2) * back
        x = x + up * noise(sigma, sigma_next)
    return x


def ddim_cfgpp(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback, *,
    eta: float = 0.0,
) -> Tensor:  # fmt: skip
    """DDIM with CFG++; made for a CFG scale of about 1."""
    return ddim(denoise, x, sigmas, noise, callback, eta=eta, cfgpp=True)


ADAMS_BASHFORTH = (  # weights of eps, newest first, by how many are known
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def plms(
    denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise, callback: Callback = no_callback,
) -> Tensor:  # fmt: skip
    """Pseudo linear multistep (Liu et al. 2022, "PNDM", eq. 12); the first step asks twice."""
    model, x = NoiseModel(denoise), to_vp(x, float(sigmas[0]))
    seen: list[Tensor] = []  # newest first
    for i, sigma, sigma_next in steps_of(sigmas):
        eps = model(x, sigma)
        a, a_next = alpha(sigma), alpha(sigma_next)

        def moved(x: Tensor, eps: Tensor, a: float = a, a_next: float = a_next) -> Tensor:
            denoised = (x - math.sqrt(1 - a) * eps) / math.sqrt(a)
            return math.sqrt(a_next) * denoised + math.sqrt(1 - a_next) * eps

        if seen:
            known = [eps, *seen]
            weights = ADAMS_BASHFORTH[len(known) - 1]
            mixed = sum((w * e for w, e in zip(weights, known, strict=True)), start=0 * eps)
        else:
            mixed = (eps + model(moved(x, eps), sigma_next)) / 2
        denoised = (x - math.sqrt(1 - a) * mixed) / math.sqrt(a)
        callback(i, x * math.sqrt(1 + sigma**2), denoised, sigma)
        x, seen = moved(x, mixed), [eps, *seen][:3]
    return x
