"""Names of samplers and schedules: AUTOMATIC1111's table, and the rule that reads other spellings.

Light on purpose (no torch): screens, infotext and the command line need names only. The functions
behind them live in `sdtui.diffusion.samplers` and `.schedules`, which refer to this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from sdtui.params.names import SCHEDULES

from .compat import Compat, Rule

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


def _by_a1111(sampler: str, schedule: str | None) -> tuple[str, str, bool]:
    """(sampler, schedule, whether the sampler was known) by A1111's rule.

    A trailing schedule is cut off the sampler's name and wins over `schedule`. Schedules are
    tried in the order of the list, each once: "X SGM Uniform" loses " Uniform" first, and what
    is left is no sampler. Exact case; an unknown sampler becomes the first of the list.
    """
    label = _LABELS.get(schedule or "", AUTOMATIC)
    for found, names in SCHEDULE_NAMES.items():
        ending = next((name for name in names if sampler.endswith(" " + name)), None)
        if ending is not None:
            sampler, label = sampler[: -len(ending) - 1], found
    known = sampler in SAMPLER_TRAITS
    return (sampler if known else DEFAULT_SAMPLER), label, known


_OTHER_SAMPLERS = {
    "dpm_adaptive": "DPM adaptive",
    "dpm_2_ancestral": "DPM2 a",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde_gpu": "DPM++ SDE",
    "dpmpp_2m_sde_gpu": "DPM++ 2M SDE",
    "dpmpp_2m_sde_heun_gpu": "DPM++ 2M SDE Heun",
    "dpmpp_3m_sde_gpu": "DPM++ 3M SDE",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
}
_OTHER_SCHEDULES = {"ddim_uniform": "DDIM", "ka": "Karras", "exp": "Exponential"}


def _folded(name: str) -> str:
    """The name as ComfyUI and k-diffusion would write it: lower case, _ for spaces, ++ as pp."""
    folded = name.strip().lower().replace("++", "pp").replace(" ", "_").replace("-", "_")
    for prefix in ("sample_", "k_"):
        folded = folded.removeprefix(prefix)
    return folded


_SAMPLER_SPELLINGS = {
    **{_folded(s): name for name, traits in SAMPLER_TRAITS.items() for s in traits.aliases},
    **{_folded(name): name for name in SAMPLER_TRAITS},
    **{_folded(traits.function): name for name, traits in reversed(SAMPLER_TRAITS.items())},
    **_OTHER_SAMPLERS,
}
_SCHEDULE_SPELLINGS = {
    **{_folded(s): label for label, names in SCHEDULE_NAMES.items() for s in names},
    **_OTHER_SCHEDULES,
}


def _by_spelling(sampler: str) -> tuple[str, str | None] | None:
    """(sampler, schedule in its name or None) of a name in another tool's spelling, or None."""
    folded = _folded(sampler)
    if folded in _SAMPLER_SPELLINGS:
        return _SAMPLER_SPELLINGS[folded], None
    for spelling in sorted(_SCHEDULE_SPELLINGS, key=len, reverse=True):
        head = folded.removesuffix("_" + spelling)
        if head != folded and head in _SAMPLER_SPELLINGS:
            return _SAMPLER_SPELLINGS[head], _SCHEDULE_SPELLINGS[spelling]
    return None


def knows_sampler(name: str) -> bool:
    """Whether a sampler's name, in whose spelling ever and with a schedule or not, is known."""
    return _by_a1111(name, None)[2] or _by_spelling(name) is not None


def knows_schedule(name: str) -> bool:
    """Whether a schedule's name is known, in whose spelling ever."""
    return name in _LABELS or _folded(name) in _SCHEDULE_SPELLINGS


Names = tuple[str | None, str | None]


def _spelled_otherwise(given: Names) -> bool:
    sampler, schedule = given
    unknown = bool(sampler) and not _by_a1111(sampler or "", schedule)[2]
    return unknown and _by_spelling(sampler or "") is not None


def _foreign_schedule(given: Names) -> bool:
    schedule = given[1]
    return bool(schedule) and schedule not in _LABELS and _folded(schedule) in _SCHEDULE_SPELLINGS


RULES = (
    Rule(
        "a sampler in another tool's spelling is recognised",
        "ComfyUI's dpmpp_2m_karras, k_euler_a, euler_ancestral and “… SGM Uniform” all become "
        "DPM++ 2M in A1111 without a word",
        _spelled_otherwise,
    ),
    Rule(
        "a schedule in another tool's spelling is recognised",
        "A1111 takes any schedule it does not know (ddim_uniform, SGM uniform) for Automatic",
        _foreign_schedule,
    ),
)


def resolve_names(
    sampler: str | None, schedule: str | None, compat: Compat = "sdtui"
) -> tuple[str, str]:
    """The sampler and schedule meant by two names from infotext, a file or the command line.

    A schedule at the end of the sampler's name ("DPM++ 2M Karras") wins over `schedule`; an
    unknown sampler becomes DPM++ 2M, an unknown schedule Automatic.
    """
    name = sampler or DEFAULT_SAMPLER
    found, label, known = _by_a1111(name, schedule)
    if compat != "sdtui":
        return found, label
    if schedule and label == AUTOMATIC:
        label = _SCHEDULE_SPELLINGS.get(_folded(schedule), AUTOMATIC)
    if not known and (spelled := _by_spelling(name)):
        found, label = spelled[0], spelled[1] or label
    return found, label


def import_names(
    sampler: str | None, schedule: str | None, compat: Compat = "sdtui"
) -> tuple[str, str]:
    """`resolve_names`, with the sampler's own schedule written as Automatic."""
    found, label = resolve_names(sampler, schedule, compat)
    return found, AUTOMATIC if SAMPLER_TRAITS[found].schedule == label else label
