"""Names of samplers and schedules: AUTOMATIC1111's table, and the rule that reads other spellings.

Light on purpose (no torch): screens, infotext and the command line need names only. The functions
behind them live in `sdtui.diffusion.samplers` and `.schedules`, which refer to this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from sdtui.params.names import SCHEDULES

AUTOMATIC = "Automatic"
DEFAULT_SAMPLER = "DPM++ 2M"


@dataclass(frozen=True, slots=True)
class SamplerTraits:
    """What is known of a sampler without running it."""

    name: str
    """A1111's label, what infotext carries."""
    function: str
    """The name of its function in k-diffusion or A1111 (vocabulary of the field)."""
    aliases: tuple[str, ...]
    """A1111's short names, also ComfyUI's with the prefix k_."""
    schedule: str = AUTOMATIC
    """What Automatic resolves to; Automatic itself where the sampler asks for none (Uniform)."""
    calls_per_step: int = 1
    uses_ensd: bool = False
    """Its noise after the first draw comes from generators restarted at seed + ENSD."""
    discards_second_last: bool = False
    """One sigma more is computed and the second-last one dropped."""
    brownian: bool = False
    """Its noise must be increments of one Brownian path over sigma."""
    by_timesteps: bool = False
    """Walks integer timesteps of the model; the schedule is written down but ignored."""
    solver_type: str = ""


def _table(*rows: SamplerTraits) -> dict[str, SamplerTraits]:
    return {row.name: row for row in rows}


_S = SamplerTraits
SAMPLER_TRAITS: dict[str, SamplerTraits] = _table(
    _S("DPM++ 2M", "sample_dpmpp_2m", ("k_dpmpp_2m",), "Karras"),
    _S("DPM++ SDE", "sample_dpmpp_sde", ("k_dpmpp_sde",), "Karras", 2, brownian=True),
    _S("DPM++ 2M SDE", "sample_dpmpp_2m_sde", ("k_dpmpp_2m_sde",), "Exponential", brownian=True),
    _S("DPM++ 2M SDE Heun", "sample_dpmpp_2m_sde", ("k_dpmpp_2m_sde_heun",), "Exponential",
       brownian=True, solver_type="heun"),
    _S("DPM++ 2S a", "sample_dpmpp_2s_ancestral", ("k_dpmpp_2s_a",), "Karras", 2, uses_ensd=True),
    _S("DPM++ 3M SDE", "sample_dpmpp_3m_sde", ("k_dpmpp_3m_sde",), "Exponential",
       discards_second_last=True, brownian=True),
    _S("Euler a", "sample_euler_ancestral", ("k_euler_a", "k_euler_ancestral"), uses_ensd=True),
    _S("Euler", "sample_euler", ("k_euler",)),
    _S("LMS", "sample_lms", ("k_lms",)),
    _S("Heun", "sample_heun", ("k_heun",), calls_per_step=2),
    _S("DPM2", "sample_dpm_2", ("k_dpm_2",), "Karras", 2, discards_second_last=True),
    _S("DPM2 a", "sample_dpm_2_ancestral", ("k_dpm_2_a",), "Karras", 2, uses_ensd=True,
       discards_second_last=True),
    _S("DPM fast", "sample_dpm_fast", ("k_dpm_fast",), uses_ensd=True),
    _S("DPM adaptive", "sample_dpm_adaptive", ("k_dpm_ad",), uses_ensd=True),
    _S("Restart", "restart_sampler", ("restart",), "Karras", 2),
    _S("DDIM", "ddim", ("ddim",), by_timesteps=True),
    _S("DDIM CFG++", "ddim_cfgpp", ("ddim_cfgpp",), by_timesteps=True),
    _S("PLMS", "plms", ("plms",), by_timesteps=True),
    _S("UniPC", "unipc", ("unipc",), by_timesteps=True),
    _S("LCM", "sample_lcm", ("k_lcm",)),
)  # fmt: skip

SCHEDULE_NAMES: dict[str, tuple[str, ...]] = {
    label: (label, label.lower().replace(" ", "_")) for label in SCHEDULES
}
SCHEDULE_NAMES["SGM Uniform"] += ("SGMUniform",)
"""Label -> its spellings: the label, A1111's inner name, aliases."""

_LABELS = {name: label for label, names in SCHEDULE_NAMES.items() for name in names[:2]}


def schedule_label(name: str) -> str | None:
    """The label of a schedule given by its label or inner name ("karras"), or None."""
    return _LABELS.get(name)
