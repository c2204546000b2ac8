"""From an infotext to settings: which sampler, which schedule, hires or not, our own fields."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from sdtui.params.base import ParamError, ParamSpec, build, specs
from sdtui.params.generate import GenerateParams

from . import sampler_names
from .compat import Rule, deviations
from .infotext import Infotext
from .prompt_rules import rules_of_picture
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


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something an infotext says that is not applied, or not as it stands."""

    key: str
    """A1111's key."""
    value: str
    why: str
    """A plain sentence without a full stop."""
    matters: bool = True
    """The picture may come out differently for it."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An infotext as values of our schema."""

    values: dict[str, object]
    """Field of `GenerateParams` -> value, each valid by itself. What the text does not mention is
    not in here and stays as it is."""
    ignored: tuple[Ignored, ...] = ()
    """In the order of the text."""

    @property
    def warnings(self) -> list[str]:
        """A line for everything that may make another picture."""
        return [f"{one.key}: {one.value}: {one.why}" for one in self.ignored if one.matters]


MEANT_WHERE_MISSING = ("Clip skip", "RNG", "Emphasis")
"""Keys that mean something where they are missing too (1, GPU; Original if there are weights)."""
BY_OTHER_MEANS = ("Sampler", "Schedule type", "Negative prompt")
TIMELINES = "Old prompt editing timelines"
"""Becomes, with the version, a rule for reading the prompts."""
INFORMATION = frozenset({
    "Version", "User", "Model hash", "VAE hash", "Lora hashes", "TI hashes", "Hashes", "App",
    "Backend", "Pipeline", "Parser", "Operations", "Batch index", "Batch size", "Created Date",
    "Civitai resources", "Civitai metadata", "Hypernet hash", "Hypernet", "Hypernet strength",
})  # fmt: skip
"""Keys that tell of the picture and set nothing (a hypernetwork becomes a tag in the prompt)."""
AS_IT_IS = {
    "ENSD": 0, "Variation seed strength": 0, "Schedule min sigma": 0, "Schedule max sigma": 0,
    "Beta schedule alpha": 0.6, "Beta schedule beta": 0.6, "Eta": 1, "Token merging ratio": 0,
}  # fmt: skip
"""Keys that ask, with this value, for nothing but what is done anyway."""
OLD_WAYS = {
    "Downcast alphas_cumprod": "A1111 before 1.7 rounded the noise levels; the picture differs",
    "Pad conds v0": "A1111 before 1.6 cut a long negative prompt for this sampler",
}


def to_values(infotext: Infotext) -> Imported:
    """The values for `GenerateParams` that an infotext holds, and what of it is left out.

    Text without settings gives its prompt only. Where the settings name no random source, it is
    GPU, no clip skip means 1: that is what the picture was made with. The checkpoint is the name
    in the text; `sdtui.library.imports` finds the one on this machine.
    """
    if not infotext.params:
        return Imported({"prompt": infotext.prompt})
    params = infotext.filled()
    values: dict[str, object] = {
        "prompt": params["Prompt"], "negative_prompt": infotext.negative_prompt,
    }  # fmt: skip
    old_timelines = str(params.get(TIMELINES, "")) == "True"
    values["prompt_rules"] = rules_of_picture(
        str(params["Prompt"]), infotext.negative_prompt, str(params.get("Version", "")),
        old_timelines,
    )  # fmt: skip
    ignored: list[Ignored] = []
    fields = {spec.infotext: spec for spec in specs(GenerateParams).values() if spec.infotext}
    for key, spec in fields.items():
        if key in BY_OTHER_MEANS or key not in params:
            continue
        if key in infotext.params or key in MEANT_WHERE_MISSING:
            ignored += _take(key, spec, params[key], values)
    if "Sampler" in infotext.params or "Schedule type" in infotext.params:
        applied = apply(infotext)
        values["sampler"], values["schedule"] = applied.sampler, applied.scheduler
        ignored += _unknown_names(infotext, applied)
    hires = _is_hires(infotext)
    for key, value in params.items():
        if key not in fields and (key in infotext.params or (value is True and key in OLD_WAYS)):
            ignored += _no_field(key, str(value), hires)
    places = {key: place for place, key in enumerate(infotext.params)}
    ignored.sort(key=lambda one: places.get(one.key, len(places)))
    return Imported(values, tuple(ignored))


def _take(key: str, spec: ParamSpec, given: object, values: dict[str, object]) -> list[Ignored]:
    """Put one value into `values` as its field's type; what is wrong with it."""
    value: object = given
    with contextlib.suppress(ValueError):
        if spec.kind in ("int", "float"):
            value = int(str(given)) if spec.kind == "int" else float(str(given))
    try:
        build(GenerateParams, {spec.name: value})
    except ParamError as error:
        return [Ignored(key, str(given), "; ".join(map(str, error.problems)))]
    values[spec.name] = value
    return []


def _unknown_names(infotext: Infotext, applied: Applied) -> list[Ignored]:
    sampler = str(infotext.params.get("Sampler", applied.sampler))
    schedule = str(infotext.params.get("Schedule type", AUTOMATIC))
    unknown = []
    if not sampler_names.knows_sampler(sampler):
        why = f"there is no sampler of this name; it is {applied.sampler} instead"
        unknown.append(Ignored("Sampler", sampler, why))
    if not sampler_names.knows_schedule(schedule):
        why = f"there is no schedule of this name; it is {applied.scheduler} instead"
        unknown.append(Ignored("Schedule type", schedule, why))
    return unknown


def _no_field(key: str, value: str, hires: bool) -> list[Ignored]:
    """Why a pair without a field of ours is left out; nothing if it asks for nothing."""
    if not value or key == TIMELINES:
        return []
    if key in INFORMATION:
        return [Ignored(key, value, "tells of the picture and sets nothing", matters=False)]
    if key in OLD_WAYS:
        return [Ignored(key, value, OLD_WAYS[key])]
    if key == "Denoising strength" and not hires:
        return [Ignored(key, value, "belongs to img2img; here the picture starts from noise")]
    with contextlib.suppress(ValueError, KeyError):
        if float(value) == AS_IT_IS[key]:
            return []
    return [Ignored(key, value, "sdtui has no such setting")]
