"""Samplers by AUTOMATIC1111's names.

`get("Euler a")` gives a `Sampler`: its traits (default schedule, model calls, ENSD, ...) and the
loop itself. A picture is made by

    sigmas = schedules.sigmas_for(schedule, name, steps, table)
    x = sampler.start(noise, sigmas)
    latents = sampler.run(denoise, x, sigmas, image_noise.next, callback, table=table)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sdtui.diffusion.noise_table import NoiseTable
from sdtui.formats.sampler_names import SAMPLER_TRAITS, SamplerTraits

from . import ancestral, dpm_solver, dpmpp, ode, restart, timestep, unipc
from .base import Callback, Denoise, Noise, no_callback

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function
    for function in (
        ode.sample_euler, ode.sample_heun, ode.sample_dpm_2, ode.sample_lms,
        ancestral.sample_euler_ancestral, ancestral.sample_dpm_2_ancestral,
        ancestral.sample_dpmpp_2s_ancestral, ancestral.sample_lcm,
        dpmpp.sample_dpmpp_2m, dpmpp.sample_dpmpp_sde, dpmpp.sample_dpmpp_2m_sde,
        dpmpp.sample_dpmpp_3m_sde, dpm_solver.sample_dpm_fast, dpm_solver.sample_dpm_adaptive,
        restart.restart_sampler, timestep.ddim, timestep.ddim_cfgpp, timestep.plms, unipc.unipc,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Sampler:
    """A sampler: what is known of it, and its loop."""

    traits: SamplerTraits
    function: Callable[..., Tensor]

    @property
    def name(self) -> str:
        return self.traits.name

    def start(
        self, noise_BCHW: Tensor, sigmas: Tensor, latents_BCHW: Tensor | None = None
    ) -> Tensor:
        """The first x: unit noise at the level of sigmas[0], laid over `latents` if there are any.

        From nothing, samplers by sigma start at noise * sigma (A1111's way), samplers by
        timesteps at unit variance, which is noise * sqrt(1 + sigma^2) in the form used here.
        """
        sigma = float(sigmas[0])
        if latents_BCHW is not None:
            return latents_BCHW + noise_BCHW * sigma
        return noise_BCHW * (math.sqrt(1 + sigma**2) if self.traits.by_timesteps else sigma)

    def run(
        self,
        denoise: Denoise,
        x: Tensor,
        sigmas: Tensor,
        noise: Noise,
        callback: Callback = no_callback,
        *,
        table: NoiseTable | None = None,
        **options: object,
    ) -> Tensor:
        """The picture's latents (B,C,H,W) from the first x. What the callback raises comes through.

        `options` are the sampler's own (eta, s_noise, s_churn, ...), by default what A1111
        passes; `table` is the model's noise table, which only UniPC asks for.
        """
        if self.traits.solver_type:
            options.setdefault("solver_type", self.traits.solver_type)
        if self.traits.uses_ensd:
            options.setdefault("eta", 1.0)
        if self.function is unipc.unipc:
            options["table"] = table
        return self.function(denoise, x, sigmas, noise, callback, **options)


SAMPLERS: dict[str, Sampler] = {
    name: Sampler(traits, FUNCTIONS[traits.function]) for name, traits in SAMPLER_TRAITS.items()
}


def get(name: str) -> Sampler:
    """The sampler with this A1111 label. Raises ValueError for an unknown one."""
    try:
        return SAMPLERS[name]
    except KeyError:
        known = ", ".join(SAMPLERS)
        raise ValueError(f"unknown sampler “{name}”; known: {known}") from None
