"""From an infotext to settings: which sampler, which schedule, hires or not, our own fields."""

from __future__ import annotations

from dataclasses import dataclass, field

from sdtui.params.base import ParamError, Problem, build, specs
from sdtui.params.generate import GenerateParams

from . import sampler_names
from .compat import Rule, deviations
from .infotext import Infotext
from .sampler_names import AUTOMATIC, SAMPLER_TRAITS, import_names
from .versions import V1_9_0, older

SAME_SAMPLER, SAME_SCHEDULE = "Use same sampler", "Use same scheduler"
HAD_ITS_SCHEDULE_BEFORE_1_9 = ("Restart",)


@dataclass(frozen=True)
class Applied:
    """What A1111's fields show after an infotext was pasted."""

    sampler: str
    scheduler: str
    hires_sampler: str
    hires_scheduler: str
    enable_hr: bool
    seed_extra: bool
    refiner_enabled: bool


def _legacy_bare_name(infotext: Infotext) -> bool:
    """A sampler without a schedule, from a time when that meant none of its own."""
    sampler = str(infotext.params.get("Sampler", ""))
    traits = SAMPLER_TRAITS.get(sampler)
    if traits is None or traits.schedule == AUTOMATIC or sampler in HAD_ITS_SCHEDULE_BEFORE_1_9:
        return False
    if "Schedule type" in infotext.params:
        return False
    version = infotext.params.get("Version")
    return version is None or older(str(version), V1_9_0)


def _is_hires(infotext: Infotext) -> bool:
    filled = infotext.filled()
    sizes = (str(filled["Hires resize-1"]), str(filled["Hires resize-2"]))
    named = "Hires upscale" in filled or "Hires upscaler" in filled
    return "Denoising strength" in filled and (named or any(s not in ("", "0") for s in sizes))


RULES = (
    Rule(
        "a bare sampler name from before 1.9 means Uniform",
        "until 1.9 “DPM++ 2M” had no schedule and “DPM++ 2M Karras” was another entry; A1111 "
        "takes both for Karras and makes another picture",
        _legacy_bare_name,
    ),
    Rule(
        "hires is on only where the text names an upscale, an upscaler or a size",
        "A1111 turns it on for every picture with a denoising strength, img2img ones too (#6419)",
        lambda infotext: "Denoising strength" in infotext.params and not _is_hires(infotext),
    ),
)


def _names_deviate(infotext: Infotext) -> bool:
    params = infotext.filled()
    pairs = [(params.get("Sampler"), params["Schedule type"])]
    pairs.append((params["Hires sampler"], params["Hires schedule type"]))
    texts = [tuple(_text(value) for value in pair) for pair in pairs]
    return any(deviations(sampler_names.RULES, text) for text in texts)


NAME_RULES = (
    Rule(
        "names in another tool's spelling are recognised",
        "see the rules of sampler and schedule names",
        _names_deviate,
    ),
)


def apply(infotext: Infotext) -> Applied:
    """The fields A1111 would show (with `infotext.compat` "sdtui": bettered by RULES)."""
    params, compat = infotext.filled(), infotext.compat
    named, schedule = params.get("Sampler"), str(params["Schedule type"])
    sampler, scheduler = import_names(_text(named), schedule, compat)
    hires_named = str(params["Hires sampler"])
    hires_schedule = str(params["Hires schedule type"])
    hires_sampler, hires_scheduler = import_names(
        _text(named) if hires_named == SAME_SAMPLER else hires_named,
        schedule if hires_schedule == SAME_SCHEDULE else hires_schedule,
        compat,
    )
    if compat == "sdtui" and _legacy_bare_name(infotext):
        scheduler = "Uniform"
    return Applied(
        sampler=sampler,
        scheduler=scheduler,
        hires_sampler=SAME_SAMPLER if hires_sampler == named else hires_sampler,
        hires_scheduler=SAME_SCHEDULE if hires_scheduler == schedule else hires_scheduler,
        enable_hr=_is_hires(infotext) if compat == "sdtui" else _a1111_hires(params),
        seed_extra="Variation seed" in params or "Seed resize from-1" in params,
        refiner_enabled="Refiner" in params,
    )


def _a1111_hires(params: dict[str, object]) -> bool:
    """Its quirk: "Hires resize" was filled in just before, so only the denoising counts."""
    signs = ("Hires upscale", "Hires upscaler", "Hires resize-1")
    return "Denoising strength" in params and any(sign in params for sign in signs)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True)
class Imported:
    """An infotext as values of our schema."""

    values: dict[str, object]
    """Field -> value, each valid by itself."""
    problems: list[Problem] = field(default_factory=list)
    """What the text says and our schema refuses, with the reason."""
    unused: dict[str, object] = field(default_factory=dict)
    """What the text says and we have no field for."""


ALWAYS_IMPORTED = ("Clip skip", "RNG")
"""Keys that mean something where they are missing too (1, GPU)."""


def to_values(infotext: Infotext) -> Imported:
    """The values for `GenerateParams` that an infotext holds.

    Text without settings gives its prompt only. Where the settings name no random source, it is
    GPU, no clip skip means 1: that is what the picture was made with.
    """
    values: dict[str, object] = {"prompt": infotext.prompt}
    if not infotext.params:
        return Imported(values)
    values["negative_prompt"] = infotext.negative_prompt
    params, used, problems = infotext.filled(), {"Sampler", "Schedule type"}, list[Problem]()
    values["prompt"] = params["Prompt"]
    for name, spec in specs(GenerateParams).items():
        key = spec.infotext
        if key is None or key in ("Sampler", "Schedule type", "Negative prompt"):
            continue
        if key in infotext.params or key in ALWAYS_IMPORTED:
            used.add(key)
            _take(name, spec.kind, params[key], values, problems)
    if "Sampler" in infotext.params or "Schedule type" in infotext.params:
        applied = apply(infotext)
        values["sampler"], values["schedule"] = applied.sampler, applied.scheduler
    unused = {key: value for key, value in infotext.params.items() if key not in used}
    return Imported(values, problems, unused)


def _take(
    name: str, kind: str, given: object, values: dict[str, object], problems: list[Problem]
) -> None:
    """Put one value into `values` as its field's type, or a sentence into `problems`."""
    value: object = given
    try:
        value = int(str(given)) if kind == "int" else float(str(given)) if kind == "float" else given
    except ValueError:
        pass
    try:
        build(GenerateParams, {name: value})
    except ParamError as error:
        problems.extend(error.problems)
    else:
        values[name] = value
