"""A job's prompts made ready: comments, choices, LoRAs and embeddings found before anything is
computed. Light until a model is there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from random import Random
from typing import TYPE_CHECKING, Any

from sdtui.formats import extra_networks, prompt_file, prompt_lists, wildcards
from sdtui.formats.comments import without_comments
from sdtui.library import catalog, loras
from sdtui.library.config import ConfigError
from sdtui.library.places import Places
from sdtui.library.wildcards import Wildcards
from sdtui.params.base import ParamError, build
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


def chosen(
    params: GenerateParams, places: Places, notice: Callable[[str], None]
) -> list[GenerateParams]:
    """The prompts that the job's prompt stands for, with every choice in them made: one request
    for each run of equal prompts.

    A picture's choices follow from its seed, so that picture i is the picture of seed + i alone.

    Raises:
        JobError: a wildcard is missing, the choices never end, or a line cannot be read.
    """
    try:
        listed = _listed(params, places, notice)
        return [request for one in listed for request in _with_choices_made(one, places)]
    except (wildcards.WildcardError, prompt_lists.TooMany, ConfigError) as error:
        raise JobError("The choices in the prompt cannot be made", str(error), usage=True) from None
    except (prompt_file.LineError, ParamError) as error:
        raise JobError("A line of the prompts cannot be used", str(error), usage=True) from None


def _listed(
    params: GenerateParams, places: Places, notice: Callable[[str], None]
) -> list[GenerateParams]:
    """A request for each prompt of the list."""
    how, prompt = params.prompt_list, params.prompt
    if how == "One prompt":
        return [params]
    if how == "One a line":
        return [_of_line(params, line, notice) for line in prompt_file.read(prompt)] or [params]
    if how == "Every choice":
        texts = wildcards.every(prompt, Wildcards(places).lines)
    elif how == "Matrix":
        texts = prompt_lists.matrix(prompt)
    else:
        lines = prompt_lists.lines(prompt) or [""]
        texts = [text for line in lines for text in prompt_lists.easy_diffusion(line)]
    return [params.model_copy(update={"prompt": text}) for text in texts]


def _of_line(
    params: GenerateParams, line: prompt_file.Line, notice: Callable[[str], None]
) -> GenerateParams:
    for name in line.ignored:
        notice(f"--{name} in the list of prompts means nothing here")
    if line.values.get("checkpoint", params.checkpoint) != params.checkpoint:
        raise prompt_file.LineError(
            "--sd_model: a list is drawn by one checkpoint; queue this prompt by itself"
        )
    return settled(build(GenerateParams, {**params.model_dump(), **line.values}))


def _with_choices_made(params: GenerateParams, places: Places) -> list[GenerateParams]:
    if not any(wildcards.has_choices(getattr(params, name)) for name in PROMPTS):
        return [params]
    lookup = Wildcards(places).lines
    drawn = [_drawn(params, index, lookup) for index in range(params.images)]
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
    requests: Sequence[GenerateParams], places: Places, notice: Callable[[str], None]
) -> list[list[loras.ChosenLora]]:
    """For each request the LoRAs that its prompt names; a tag that means nothing here is told.

    Raises:
        JobError: a LoRA is not there, or a weight is no number.
    """
    remarks: dict[str, None] = {}
    for one in requests:
        for tag in extra_networks.unknown(extra_networks.parse(one.prompt)[1]):
            remarks[f"{tag.text} in the prompt means nothing here and is left out"] = None
        for tag in extra_networks.parse(one.negative_prompt)[1]:
            if tag.word in extra_networks.LORA_WORDS:
                remark = "is mere text in the negative prompt; LoRAs belong in the prompt"
                remarks[f"{tag.text} {remark}"] = None
    for remark in remarks:
        notice(remark)
    try:
        return loras.chosen(places, [one.prompt for one in requests])
    except (catalog.CatalogError, ConfigError) as error:
        raise JobError(str(error)[:1].upper() + str(error)[1:], usage=True) from None


def embeddings(
    params: GenerateParams, places: Places, model: Model, notice: Callable[[str], None]
) -> Mapping[str, list[Tensor]]:
    """Name -> vectors of the embeddings named in the prompts; one that cannot be used is told."""
    from sdtui.diffusion.embeddings import EmbeddingError, load_embedding, names_in

    try:
        files = {file.path.stem: file for file in catalog.models(places, "embedding")}
    except ConfigError as error:
        raise JobError("The embeddings cannot be listed", str(error)) from None
    found = {}
    for name in names_in(list(files), params.prompt, params.negative_prompt):
        try:
            if files[name].problem:
                raise EmbeddingError(files[name].problem)
            found[name] = load_embedding(files[name].path, model)
        except EmbeddingError as error:
            notice(f"The embedding “{name}” is left out: {error}")
    return found
