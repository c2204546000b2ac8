"""A job's prompts made ready: comments, choices, LoRAs and embeddings found before anything is
computed. Light until a model is there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from itertools import groupby
from random import Random
from typing import TYPE_CHECKING, Any

from sdtui.formats import extra_networks, wildcards
from sdtui.formats.comments import without_comments
from sdtui.library import catalog, loras
from sdtui.library.config import ConfigError
from sdtui.library.places import Places
from sdtui.library.wildcards import Wildcards
from sdtui.params.generate import MAX_SEED, GenerateParams

from .runner import JobError

if TYPE_CHECKING:
    from torch import Tensor

    from sdtui.diffusion.load import Model

PROMPTS = ("prompt", "negative_prompt")


def settled(params: GenerateParams) -> GenerateParams:
    """What is drawn and written: with a seed, and without comments in the prompts (as A1111)."""
    values: dict[str, Any] = {name: without_comments(getattr(params, name)) for name in PROMPTS}
    if params.seed < 0:
        values["seed"] = secrets.randbelow(MAX_SEED - 1)
    return params.model_copy(update=values)


def chosen(params: GenerateParams, places: Places) -> list[GenerateParams]:
    """The job with every choice in its prompts made: one request for each run of equal prompts.

    A picture's choices follow from its seed, so that picture i is the picture of seed + i alone.

    Raises:
        JobError: a wildcard is missing, or the choices never end.
    """
    try:
        if not any(wildcards.has_choices(getattr(params, name)) for name in PROMPTS):
            return [params]
        lookup = Wildcards(places).lines
        drawn = [_drawn(params, index, lookup) for index in range(params.images)]
    except (wildcards.WildcardError, ConfigError) as error:
        raise JobError("The choices in the prompt cannot be made", str(error), usage=True) from None
    requests, first = list[GenerateParams](), 0
    for prompts, group in groupby(drawn):
        many = len(list(group))
        size = params.batch_size if many % params.batch_size == 0 else 1
        seed = (params.seed + first) % (MAX_SEED + 1)
        values = {"seed": seed, "batch_size": size, "batch_count": many // size}
        requests.append(params.model_copy(update={**prompts, **values}))
        first += many
    return requests


def _drawn(params: GenerateParams, index: int, lookup: wildcards.Lookup) -> dict[str, str]:
    random = Random((params.seed + index) % (MAX_SEED + 1))
    return {name: wildcards.expand(getattr(params, name), lookup, random) for name in PROMPTS}


def check_tags(
    params: GenerateParams, places: Places, notice: Callable[[str], None]
) -> list[loras.ChosenLora]:
    """The files of the LoRAs that the prompt names; a tag that means nothing here is told.

    Raises:
        JobError: a LoRA is not there, or a weight is no number.
    """
    for tag in extra_networks.unknown(extra_networks.parse(params.prompt)[1]):
        notice(f"{tag.text} in the prompt means nothing here and is left out")
    try:
        return loras.chosen(places, params.prompt)
    except (catalog.CatalogError, ConfigError) as error:
        raise JobError(str(error)[:1].upper() + str(error)[1:], usage=True) from None


def embeddings(
    params: GenerateParams, places: Places, model: Model, notice: Callable[[str], None]
) -> Mapping[str, list[Tensor]]:
    """Name -> vectors of the embeddings named in the prompts; one that cannot be used is told."""
    from sdtui.diffusion.embeddings import EmbeddingError, load_embedding, names_in

    try:
        files = {file.path.stem: file.path for file in catalog.models(places, "embedding")}
    except ConfigError as error:
        raise JobError("The embeddings cannot be listed", str(error)) from None
    found = {}
    for name in names_in(list(files), params.prompt, params.negative_prompt):
        try:
            found[name] = load_embedding(files[name], model)
        except EmbeddingError as error:
            notice(f"The embedding “{name}” is left out: {error}")
    return found
