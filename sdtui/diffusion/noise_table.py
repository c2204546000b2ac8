"""The discrete noise table of a model: timestep <-> sigma.

A Stable Diffusion model was trained at N = 1000 noise levels. Level t mixes
x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise, where a is `alphas_cumprod`. Samplers think in
sigma = sqrt((1 - a) / a), noise per unit of picture (Karras et al. 2022, "Elucidating the Design
Space", variance-exploding form). Between two levels log sigma is linear in t.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEVELS = 1000
BETA_START, BETA_END = 0.00085, 0.012
LAST_ALPHA = 4.8973451890853435e-08
"""Instead of zero, where sigma would be infinite; A1111's and ComfyUI's value."""


@dataclass(frozen=True, eq=False)
class NoiseTable:
    """Noise levels in ascending order; all tensors (N,), float32, on the CPU.

    float32 on purpose: A1111's tables are, and its pictures depend on the last bits.
    """

    alphas_cumprod: Tensor
    sigmas: Tensor
    log_sigmas: Tensor
    stride: int = 1
    """Model timesteps between two entries (20 in the 50-entry table of LCM)."""

    @classmethod
    def scaled_linear(
        cls, start: float = BETA_START, end: float = BETA_END, levels: int = LEVELS
    ) -> NoiseTable:
        """The table of SD 1.x, 2.x and SDXL: sqrt(beta) rises linearly (Rombach et al. 2022)."""
        roots = torch.linspace(start**0.5, end**0.5, levels, dtype=torch.float64)
        return cls.from_betas(roots**2)

    @classmethod
    def from_betas(cls, betas: Tensor) -> NoiseTable:
        """From the variances of the single forward steps, (N,) each in 0..1."""
        return cls.from_alphas_cumprod(torch.cumprod(1 - betas.double(), dim=0))

    @classmethod
    def from_alphas_cumprod(cls, alphas_cumprod: Tensor) -> NoiseTable:
        """From the shares of signal left, (N,), falling, each in 0..1 (neither end allowed)."""
        if alphas_cumprod.ndim != 1 or len(alphas_cumprod) < 2:
            raise ValueError("a noise table needs a list of at least two levels")
        if not bool(((alphas_cumprod > 0) & (alphas_cumprod < 1)).all()):
            raise ValueError("every alphas_cumprod must lie between 0 and 1")
        return cls._made(alphas_cumprod.detach().cpu().float())

    @classmethod
    def _made(cls, alphas: Tensor, stride: int = 1) -> NoiseTable:
        """Sigmas are taken in the precision of `alphas`, then everything becomes float32."""
        sigmas = ((1 - alphas) / alphas) ** 0.5
        return cls(alphas.float(), sigmas.float(), sigmas.log().float(), stride)

    def downcast(self) -> NoiseTable:
        """The table in half precision: A1111 before 1.7.0-225, "Downcast alphas_cumprod"."""
        return self._made(self.alphas_cumprod.half())

    def zero_terminal(self) -> NoiseTable:
        """Stretched so that the last level is pure noise (Lin et al. 2023, algorithm 1)."""
        roots = self.alphas_cumprod.sqrt()
        first, last = roots[0].clone(), roots[-1].clone()
        alphas = ((roots - last) * (first / (first - last))) ** 2
        alphas[-1] = LAST_ALPHA
        return self._made(alphas)

    def every(self, stride: int) -> NoiseTable:
        """Every `stride`-th level counted from the last: the table LCM was distilled on (20)."""
        return self._made(self.alphas_cumprod[stride - 1 :: stride], stride)

    def __len__(self) -> int:
        return len(self.sigmas)

    @property
    def sigma_min(self) -> float:
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        return float(self.sigmas[-1])

    @property
    def t_max(self) -> float:
        """The last timestep of the model (999)."""
        return float(len(self) * self.stride - 1)

    def t_to_sigma(self, t: Tensor | float) -> Tensor:
        """Sigma at the (fractional) timesteps `t`, any shape; log-linear between the levels."""
        t = torch.as_tensor(t)
        t = (t if t.is_floating_point() else t.float()).clamp(0, self.t_max)
        position = ((t - (self.stride - 1)) / self.stride).clamp(0, len(self) - 1)
        low, share = position.floor().long(), position.frac()
        logs = self.log_sigmas.to(t.device, t.dtype)
        return ((1 - share) * logs[low] + share * logs[position.ceil().long()]).exp()

    def sigma_to_t(self, sigma: Tensor | float) -> Tensor:
        """The fractional timesteps of `sigma`, any shape; ends of the table beyond its range.

        A table with a stride (LCM) answers with the nearest level instead.
        """
        sigma = torch.as_tensor(sigma)
        sigma = sigma if sigma.is_floating_point() else sigma.float()
        logs, log_sigma = self.log_sigmas.to(sigma.device, sigma.dtype), sigma.log()
        if self.stride > 1:
            nearest = (log_sigma[..., None] - logs).abs().argmin(-1)
            return (nearest * self.stride + self.stride - 1).to(sigma.dtype)
        low = torch.searchsorted(logs, log_sigma.contiguous(), right=True) - 1
        low = low.clamp(0, len(self) - 2)
        share = ((logs[low] - log_sigma) / (logs[low] - logs[low + 1])).clamp(0, 1)
        return (1 - share) * low + share * (low + 1)
