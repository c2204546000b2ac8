"""What A1111 makes of the pairs of an infotext: defaults, old forms converted, version rules."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from .attention import uses_weights
from .comments import without_comments
from .versions import V1_6_0, V1_7_0_TSNR, V1_8_0, older

if TYPE_CHECKING:
    from .infotext import Infotext, Params

DEFAULTS: dict[str, object] = {
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
}
OLD_FIRST_PASS_PIXELS = 512 * 512


def filled(infotext: Infotext) -> Params:
    """See `Infotext.filled`."""
    params: Params = dict(infotext.params)
    if infotext.styles:
        params["Styles array"] = list(infotext.styles)
    params["Prompt"] = infotext.prompt
    params["Negative prompt"] = infotext.negative_prompt
    params.setdefault("Clip skip", "1")
    if "Hypernet" in params:
        strength = params.get("Hypernet strength", "1.0")
        params["Prompt"] = f"{infotext.prompt}<hypernet:{params['Hypernet']}:{strength}>"
    if "Hires resize-1" not in params:
        params["Hires resize-1"] = params["Hires resize-2"] = 0
    for key, value in DEFAULTS.items():
        params.setdefault(key, value)
    if params["FP8 weight"] != DEFAULTS["FP8 weight"]:
        params.setdefault("Cache FP16 weight for LoRA", False)
    _convert_first_pass(params)
    prompts = (infotext.prompt, infotext.negative_prompt)
    if any(uses_weights(prompt, infotext.compat) for prompt in prompts):
        params.setdefault("Emphasis", "Original")
    _apply_version(params, only_1_6=infotext.compat == "a1111-1.6.0")
    if infotext.compat == "forge":
        _as_forge(params)
    return params


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def old_first_pass_size(width: int, height: int) -> tuple[int, int]:
    """The first pass of the old hires fix: about 512 x 512 pixels, rounded up to 64."""
    scale = math.sqrt(OLD_FIRST_PASS_PIXELS / (width * height))
    return math.ceil(scale * width / 64) * 64, math.ceil(scale * height / 64) * 64


def _convert_first_pass(params: Params) -> None:
    """ "First pass size" (A1111 of 2022): then Size was the final size."""
    first = [_whole(params.get(f"First pass size-{i}")) for i in (1, 2)]
    final = [_whole(params.get(f"Size-{i}", 512)) for i in (1, 2)]
    if None in first or None in final or 0 in final:
        return
    width, height = (int(side or 0) for side in final)
    if 0 in first:
        first = list(old_first_pass_size(width, height))
    params["Size-1"], params["Size-2"] = first
    params["Hires resize-1"], params["Hires resize-2"] = width, height


def _apply_version(params: Params, only_1_6: bool) -> None:
    """Settings that make this program behave as the one that wrote the text."""
    version = str(params.get("Version", ""))
    if older(version, V1_6_0):
        if "[" in str(params["Prompt"]):
            params["Old prompt editing timelines"] = True
        if params.get("Sampler") in ("DDIM", "PLMS"):
            params["Pad conds v0"] = True
    if only_1_6:
        return
    params.setdefault("Refiner switch by sampling steps", False)
    if older(version, V1_7_0_TSNR):
        params["Downcast alphas_cumprod"] = True
    if older(version, V1_8_0) and params.get("Refiner"):
        params["Refiner switch by sampling steps"] = True


def _as_forge(params: Params) -> None:
    """Forge: comments go at reading, VAE and text encoders are one list of modules."""
    for key in ("Prompt", "Negative prompt"):
        params[key] = without_comments(str(params[key]), "forge")
    vae = params.pop("VAE", None)
    modules = [vae] if vae else _numbered(params, "Module ")
    if modules:
        params["VAE/TE"] = modules
    params["Hires VAE/TE"] = _numbered(params, "Hires Module ") or ["Use same choices"]


def _numbered(params: Params, prefix: str) -> list[object]:
    return [value for key, value in params.items() if re.fullmatch(prefix + r"\d+", key)]
