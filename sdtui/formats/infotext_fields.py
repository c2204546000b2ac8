"""The parameters of an infotext in A1111's order, from settings."""

from __future__ import annotations

from collections.abc import Mapping

from sdtui.params.generate import GenerateParams

from .sampler_names import AUTOMATIC, SAMPLER_TRAITS

ORDER = (
    "Steps", "Sampler", "Schedule type", "CFG scale", "Image CFG scale", "Seed",
    "Face restoration", "Size", "Model hash", "Model", "FP8 weight", "Cache FP16 weight for LoRA",
    "VAE hash", "VAE", "Variation seed", "Variation seed strength", "Seed resize from",
    "Denoising strength", "Conditional mask weight", "Clip skip", "ENSD", "Token merging ratio",
    "Token merging ratio hr", "Init image hash", "RNG", "Tiling", "Hires checkpoint",
    "Hires sampler", "Hires prompt", "Hires negative prompt", "Hires schedule type",
    "Hires upscale", "Hires resize", "Hires steps", "Hires upscaler",
)  # fmt: skip
LAST = ("Version", "User")


def ordered(params: Mapping[str, object]) -> dict[str, object]:
    """The parameters in A1111's order; keys it does not know stay in theirs, before Version."""
    places = {key: place for place, key in enumerate(ORDER)}
    places |= {key: len(ORDER) + 1 + place for place, key in enumerate(LAST)}
    return dict(sorted(params.items(), key=lambda item: places.get(item[0], len(ORDER))))


def written_schedule(sampler: str, schedule: str) -> str:
    """The "Schedule type" of a picture: the sampler's own one in place of Automatic."""
    own = SAMPLER_TRAITS[sampler].schedule
    return own if schedule == AUTOMATIC else schedule


def written_ensd(sampler: str, ensd: int, eta: float | None = None) -> int | None:
    """The "ENSD" of a picture: only for samplers whose noise it changes."""
    return ensd if ensd and eta != 0 and SAMPLER_TRAITS[sampler].uses_ensd else None


def written_hires_schedule(first: tuple[str, str], hires: tuple[str, str]) -> str | None:
    """The "Hires schedule type" from (sampler, schedule) of both passes; None where it is left out.

    A sampler without a schedule of its own, left on Automatic, writes none.
    """
    label = written_schedule(*hires)
    return None if label in (AUTOMATIC, written_schedule(*first)) else label


def hires_pairs(
    first: tuple[str, str], *, denoising_strength: float, upscaler: str | None,
    scale: float = 2.0, width: int = 0, height: int = 0, steps: int = 0,
    sampler: str | None = None, schedule: str | None = None, checkpoint: str | None = None,
    prompt: str | None = None, negative_prompt: str | None = None,
) -> dict[str, object]:  # fmt: skip
    """The pairs of a hires pass after a first pass of (sampler, schedule); None = the same.

    `scale` counts only where neither `width` nor `height` is given (0).
    """
    second = (sampler or first[0], schedule or first[1])
    return {
        "Denoising strength": denoising_strength,
        "Hires checkpoint": checkpoint,
        "Hires sampler": sampler if sampler != first[0] else None,
        "Hires prompt": prompt or None,
        "Hires negative prompt": negative_prompt or None,
        "Hires schedule type": written_hires_schedule(first, second),
        "Hires upscale": None if width or height else scale,
        "Hires resize": f"{width}x{height}" if width or height else None,
        "Hires steps": steps or None,
        "Hires upscaler": upscaler,
    }


def number(value: float) -> str:
    """A number as A1111's screen writes it: 7 for 7.0."""
    return f"{value:.10g}"


def from_params(
    params: GenerateParams,
    seed: int,
    *,
    model_hash: str | None = None,
    vae: tuple[str, str | None] | None = None,
    extra: Mapping[str, object] | None = None,
    version: str | None = None,
) -> dict[str, object]:
    """What to write into one picture of this request.

    Args:
        seed: of this picture.
        model_hash: first ten digits of the checkpoint's SHA-256.
        vae: (name, hash) of a VAE other than the checkpoint's own.
        extra: further pairs (hires, LoRA hashes, ...).
        version: the program's name and version.
    """
    pairs: dict[str, object] = {
        "Steps": params.steps,
        "Sampler": params.sampler,
        "Schedule type": written_schedule(params.sampler, params.schedule),
        "CFG scale": number(params.cfg_scale),
        "Seed": seed,
        "Size": f"{params.width}x{params.height}",
        "Model hash": model_hash,
        "Model": params.checkpoint,
        "VAE hash": vae[1] if vae else None,
        "VAE": vae[0] if vae else (params.vae if params.vae == "None" else None),
        "Clip skip": params.clip_skip if params.clip_skip > 1 else None,
        "RNG": params.random_source if params.random_source != "GPU" else None,
        "Emphasis": params.emphasis if params.emphasis != "Original" else None,
        "Prompt rules": params.prompt_rules if params.prompt_rules != "Current" else None,
        **(extra or {}),
        "Version": version,
    }
    return ordered({key: value for key, value in pairs.items() if value is not None})
