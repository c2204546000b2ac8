"""What is written into a picture and its name: the infotext, the PNG, the facts for patterns."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sdtui import __version__
from sdtui.formats import extra_networks
from sdtui.formats.filenames import Facts
from sdtui.formats.infotext import format_infotext
from sdtui.formats.infotext_fields import from_params
from sdtui.formats.sampler_names import SAMPLER_TRAITS
from sdtui.library.loras import hashes_written
from sdtui.params.generate import MAX_SEED, GenerateParams

if TYPE_CHECKING:
    from PIL.Image import Image

NamedModel = tuple[str, str | None]
"""The name of the model in use, and the first ten digits of its hash if they are known."""


def infotext(
    params: GenerateParams, model: NamedModel, seed: int, vae: NamedModel | None = None,
    loras: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """The settings of one picture as A1111 writes them.

    Args:
        vae: where it is not the model's own.
        loras: hashes of the LoRAs in use, by the names that the prompt gives them.
    """
    from sdtui.diffusion import schedules

    by_timesteps = SAMPLER_TRAITS[params.sampler].by_timesteps
    extra: dict[str, object] = {}
    if not by_timesteps:
        extra |= schedules.infotext(params.schedule, params.sampler)
    if loras:
        extra["Lora hashes"] = hashes_written(loras)
    pairs = from_params(
        params.model_copy(update={"checkpoint": model[0]}),
        seed,
        model_hash=model[1],
        vae=vae,
        extra=extra,
        version=f"sdtui {__version__}",
    )
    return format_infotext(params.prompt, params.negative_prompt, pairs)


def png(image: Image, text: str) -> bytes:
    """The picture as PNG with the text where A1111 looks for it (“parameters”)."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def facts(params: GenerateParams, model: NamedModel, seed: int, index: int, image: Image) -> Facts:
    """What patterns of names can say of picture `index` of the job, which ends now."""
    return Facts(
        seed=seed,
        now=datetime.now().astimezone(),
        prompt=extra_networks.parse(params.prompt)[0],
        negative_prompt=params.negative_prompt,
        steps=params.steps,
        cfg_scale=params.cfg_scale,
        sampler=params.sampler,
        schedule=params.schedule,
        width=image.width,
        height=image.height,
        clip_skip=params.clip_skip,
        model_name=model[0],
        model_hash=model[1] or "",
        batch_size=params.batch_size,
        batch_count=params.batch_count,
        index=index,
        first_seed=params.seed,
        last_seed=(params.seed + params.images - 1) % (MAX_SEED + 1),
        pixels=image.tobytes,
    )
