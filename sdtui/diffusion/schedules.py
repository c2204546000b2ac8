"""Noise schedules: which sigmas a sampler visits, by the labels of AUTOMATIC1111 1.10.

Every schedule is a short function `(table, n, options) -> list of n sigmas and a closing 0`, kept
in `SCHEDULES`. They are computed in float32, the precision in which the pictures people want to
make again were made. `sigmas_for` is the door: it knows what "Automatic" means for a sampler,
which samplers drop a sigma, and which ones follow timesteps instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sdtui.formats.sampler_names import AUTOMATIC, SAMPLER_TRAITS, schedule_label

from .beta_quantile import beta_quantile
from .noise_table import LEVELS, NoiseTable

OLD_KARRAS_RANGE = (0.1, 10.0)


@dataclass(frozen=True)
class ScheduleOptions:
    """A1111's settings that bend a schedule; None and False leave it alone."""

    sigma_min: float | None = None
    """Infotext "Schedule min sigma"."""
    sigma_max: float | None = None
    """Infotext "Schedule max sigma"."""
    rho: float | None = None
    """Infotext "Schedule rho": bend of Karras (7) and Polyexponential (1)."""
    old_karras_range: bool = False
    """Sigmas from 10 to 0.1, as the first versions had for Karras."""
    drop_second_last: bool = False
    """Infotext "Discard penultimate sigma": for every sampler, not only those that ask for it."""
    beta_alpha: float = 0.6
    """Infotext "Beta schedule alpha"."""
    beta_beta: float = 0.6
    """Infotext "Beta schedule beta"."""
    sdxl: bool = False
    """The model is an SDXL (Align Your Steps has a table of its own for it)."""

    def sigma_range(self, table: NoiseTable) -> tuple[float, float]:
        """(sigma_min, sigma_max) in force."""
        low, high = table.sigma_min, table.sigma_max
        if self.old_karras_range:
            low, high = OLD_KARRAS_RANGE
        return self.sigma_min or low, self.sigma_max or high


PLAIN = ScheduleOptions()
Schedule = Callable[[NoiseTable, int, ScheduleOptions], Tensor]


def append_zero(sigmas: Tensor) -> Tensor:
    """(n,) -> (n + 1,): the last step of a sampler leads to a picture without noise."""
    return torch.cat([sigmas, sigmas.new_zeros(1)])


def uniform(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """Timesteps from last to first in equal steps (k-diffusion `get_sigmas` of the wrapper)."""
    first = float(table.stride - 1)
    return append_zero(table.t_to_sigma(torch.linspace(table.t_max, first, n)))


def karras(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """Equal steps of sigma^(1/rho), rho = 7 (Karras et al. 2022, eq. 5; `get_sigmas_karras`)."""
    low, high = options.sigma_range(table)
    return karras_range(n, low, high, options.rho or 7.0)


def karras_range(n: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """(n + 1,) sigmas of Karras et al. between two given ends, and 0."""
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return append_zero((high + torch.linspace(0, 1, n) * (low - high)) ** rho)


def exponential(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """Equal steps of log sigma (`get_sigmas_exponential`)."""
    low, high = options.sigma_range(table)
    return append_zero(torch.linspace(math.log(high), math.log(low), n).exp())


def polyexponential(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """Steps of log sigma bent by rho; rho = 1 is Exponential (`get_sigmas_polyexponential`)."""
    low, high = (math.log(end) for end in options.sigma_range(table))
    ramp = torch.linspace(1, 0, n) ** (options.rho or 1.0)
    return append_zero((ramp * (high - low) + low).exp())


def _by_timesteps(table: NoiseTable, count: int, options: ScheduleOptions) -> Tensor:
    """(count,) sigmas at equal timesteps between those of the range's two ends."""
    low, high = options.sigma_range(table)
    first, last = float(table.sigma_to_t(low)), float(table.sigma_to_t(high))
    return table.t_to_sigma(torch.linspace(last, first, count))


def sgm_uniform(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """n + 1 equal timesteps without the last (SDXL's reference code, "trailing" elsewhere)."""
    return append_zero(_by_timesteps(table, n + 1, options)[:-1])


def normal(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """Uniform, but between the ends of the sigma range in force (ComfyUI's word)."""
    return append_zero(_by_timesteps(table, n, options))


def simple(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """Every (N/n)-th level of the table, from the last down (ComfyUI)."""
    stride = len(table) / n
    return append_zero(torch.stack([table.sigmas[-1 - int(i * stride)] for i in range(n)]))


def ddim(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """The levels 1, 1 + N//n, ... downwards: more than n values when n does not divide N."""
    return append_zero(table.sigmas[1 :: max(len(table) // n, 1)].flip(0))


def kl_optimal(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """Equal steps of arctan sigma ("Align Your Steps", Sabour et al. 2024, theorem 3.1).

    n + 1 values, and the last is sigma_min, not 0: A1111's pictures keep that trace of noise.
    """
    low, high = options.sigma_range(table)
    share = torch.arange(n + 1) / n
    return torch.tan(share * torch.tensor(low).atan() + (1 - share) * torch.tensor(high).atan())


ALIGN_YOUR_STEPS = {  # optimised sigmas for 10 steps, published with the paper
    False: (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    True: (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}


def align_your_steps(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """The published sigmas of SD 1.5 or SDXL, stretched log-linearly to n (Sabour et al. 2024)."""
    known = torch.tensor(ALIGN_YOUR_STEPS[options.sdxl], dtype=torch.float64)
    if n == len(known):
        return append_zero(known.float())
    position = torch.linspace(0, len(known) - 1, n, dtype=torch.float64)  # from the low end
    logs = known.log().flip(0)
    low = position.floor().long().clamp(max=len(known) - 2)
    share = position - low
    return append_zero(((1 - share) * logs[low] + share * logs[low + 1]).exp().flip(0).float())


def beta(table: NoiseTable, n: int, options: ScheduleOptions = PLAIN) -> Tensor:
    """Quantiles of Beta(.6, .6) ("Beta Sampling is All You Need", 2024) laid over sigma.

    Over sigma as A1111 does; ComfyUI lays them over timesteps and gets other pictures.
    """
    low, high = options.sigma_range(table)
    a, b = options.beta_alpha, options.beta_beta
    ranks = (1 - torch.linspace(0, 1, n, dtype=torch.float64)).tolist()
    shares = torch.tensor([beta_quantile(rank, a, b) for rank in ranks], dtype=torch.float64)
    return append_zero((low + shares * (high - low)).float())


SCHEDULES: dict[str, Schedule] = {
    "Uniform": uniform,
    "Karras": karras,
    "Exponential": exponential,
    "Polyexponential": polyexponential,
    "SGM Uniform": sgm_uniform,
    "KL Optimal": kl_optimal,
    "Align Your Steps": align_your_steps,
    "Simple": simple,
    "Normal": normal,
    "DDIM": ddim,
    "Beta": beta,
}
DEFAULT_RHO = {"Karras": 7.0, "Polyexponential": 1.0}
LCM_STRIDE = 20


def resolve(schedule: str, sampler: str) -> str:
    """The schedule in force: what "Automatic" (or an empty text) means for this sampler.

    Raises:
        ValueError: an unknown schedule or sampler.
    """
    if sampler not in SAMPLER_TRAITS:
        raise ValueError(f"unknown sampler “{sampler}”; known: {', '.join(SAMPLER_TRAITS)}")
    label = schedule_label(schedule or AUTOMATIC)
    if label is None:
        raise ValueError(f"unknown schedule “{schedule}”; known: {', '.join(SCHEDULES)}")
    if label == AUTOMATIC:
        label = SAMPLER_TRAITS[sampler].schedule
    return "Uniform" if label == AUTOMATIC else label


def timesteps(steps: int, levels: int = LEVELS) -> list[int]:
    """Timesteps of DDIM, PLMS and UniPC: 1, 1 + k, ... with k = levels // steps, ascending.

    30 steps give 31 of them; that is A1111's way and part of its pictures.
    """
    return [min(t + 1, levels - 1) for t in range(0, levels, max(levels // steps, 1))]


def sigmas_for(
    schedule: str,
    sampler: str,
    steps: int,
    table: NoiseTable | None = None,
    options: ScheduleOptions = PLAIN,
) -> Tensor:
    """The descending sigmas that `sampler` visits in `steps` steps, float32 on the CPU.

    (steps + 1,) values with a closing 0 for most. The samplers that walk timesteps (DDIM, PLMS,
    UniPC) ignore the schedule and get one sigma per timestep, without a closing 0.

    Raises:
        ValueError: an unknown schedule or sampler, or fewer steps than one.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    label, traits = resolve(schedule, sampler), SAMPLER_TRAITS[sampler]
    table = table or NoiseTable.scaled_linear()
    if traits.by_timesteps:
        return table.sigmas[timesteps(steps, len(table))].flip(0)
    if sampler == "LCM":
        table = table.every(LCM_STRIDE)
    drops = traits.discards_second_last or options.drop_second_last
    sigmas = SCHEDULES[label](table, steps + drops, options)
    return torch.cat([sigmas[:-2], sigmas[-1:]]) if drops else sigmas


def infotext(schedule: str, sampler: str, options: ScheduleOptions = PLAIN) -> dict[str, object]:
    """What of a schedule A1111 writes into infotext (k-samplers): the resolved label and bends."""
    label = resolve(schedule, sampler)
    asked = schedule_label(schedule or AUTOMATIC) != AUTOMATIC
    written: dict[str, object] = {}
    if options.drop_second_last and not SAMPLER_TRAITS[sampler].discards_second_last:
        written["Discard penultimate sigma"] = True
    if not asked and SAMPLER_TRAITS[sampler].schedule == AUTOMATIC:
        return written
    written["Schedule type"] = label
    if options.sigma_min:
        written["Schedule min sigma"] = options.sigma_min
    if options.sigma_max:
        written["Schedule max sigma"] = options.sigma_max
    if options.rho and options.rho != DEFAULT_RHO.get(label, options.rho):
        written["Schedule rho"] = options.rho
    if label == "Beta":
        written["Beta schedule alpha"] = options.beta_alpha
        written["Beta schedule beta"] = options.beta_beta
    return written
