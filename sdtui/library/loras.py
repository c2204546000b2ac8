"""LoRA files by the names that prompts give them: `<lora:NAME:0.8>`.

A name is the file's, without ending (with its sub-folder where two files share it), else the name
that the trainer wrote into it (`ss_output_name`, unless two files carry the same), else the
beginning of its hash, as A1111 and Civitai write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sdtui.formats import extra_networks
from sdtui.formats.extra_networks import LoraTag
from sdtui.formats.header import HeaderError, read_header
from sdtui.formats.model_kind import BASE_WORDS
from sdtui.params.base import nearest

from .hashes import LORA_SHORT, known_data_hash, known_hash
from .model_files import CatalogError, ModelFile, bare, models
from .places import Places

HASH = re.compile(r"[0-9a-f]{8,64}")
ALIAS = "ss_output_name"
UNUSABLE = ("OFT", "GLoRA", "IA3")
TAG = re.compile(r"<(lora|lyco):([^:>]+)", re.IGNORECASE)


class LoraProblem(CatalogError):
    """A LoRA that a prompt names cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ChosenLora:
    """A LoRA tag and the file that it means."""

    tag: LoraTag
    file: ModelFile


def chosen(places: Places, prompts: Sequence[str]) -> list[list[ChosenLora]]:
    """The LoRAs that each prompt asks for. Raises LoraProblem, ConfigError."""
    try:
        tags = [extra_networks.loras(extra_networks.parse(prompt)[1]) for prompt in prompts]
    except extra_networks.TagError as error:
        raise LoraProblem(str(error)) from None
    names = {tag.name for some in tags for tag in some}
    here = models(places, "lora") if names else []
    files = {name: _file(places, here, name) for name in sorted(names)}
    return [[ChosenLora(tag, files[tag.name]) for tag in some] for some in tags]


def _file(places: Places, here: list[ModelFile], name: str) -> ModelFile:
    found = find(places, here, name)
    if found is None:
        names = [one.name for one in here] + list(_aliases(here))
        like = nearest(name, names)
        hint = f"did you mean “{like}”?" if like else f"put its file into {places.models}/loras"
        raise LoraProblem(f"there is no LoRA “{name}”; {hint}")
    if found.problem and found.kind.kind != "foreign":
        raise LoraProblem(found.problem)
    if found.kind.variant in UNUSABLE:
        raise LoraProblem(
            f"the LoRA “{name}” is of the kind {found.kind.variant}, which cannot be used here; "
            "LoRA, LoCon, LoHa, LoKr, DoRA and full differences can"
        )
    return found


def find(places: Places, here: Iterable[ModelFile], name: str) -> ModelFile | None:
    """The LoRA among `here` that a prompt means by `name`; None if there is none."""
    here = list(here)
    plain = bare(name)
    named = {file.name: file for file in here}
    if plain in named:
        return named[plain]
    for file in here:  # also with its sub-folder, where the name alone would do
        if f"/{file.path.with_suffix('').as_posix()}".endswith(f"/{plain}"):
            return file
    if found := _aliases(here).get(name):
        return found
    if HASH.fullmatch(name.lower()) and (found := by_hash(places, here, name)):
        return found
    alike = [file for file in here if file.name.casefold() == plain.casefold()]
    return alike[0] if len(alike) == 1 else None


def by_hash(places: Places, here: Iterable[ModelFile], digest: str) -> ModelFile | None:
    """The LoRA whose hash begins so: A1111's of the tensors (AutoV3), else of the file (AutoV2).

    Only hashes that the file itself carries, or that were computed before, are compared.
    """
    digest = digest.lower()
    here = list(here)
    for known in (known_data_hash, known_hash):
        for file in here:
            if (known(places, file.path) or "").startswith(digest):
                return file
    return None


def check_base(loras: Iterable[ChosenLora], family: str, model: str) -> None:
    """Raise LoraProblem for a LoRA that is known to be made for another family of models."""
    for one in loras:
        base = one.file.kind.base
        if base and family in BASE_WORDS and base != family:
            raise LoraProblem(
                f"the LoRA “{one.tag.name}” is made for {BASE_WORDS.get(base, base)}, "
                f"but “{model}” is {_an(BASE_WORDS[family])} model; "
                "choose another LoRA or another checkpoint"
            )


def _an(word: str) -> str:
    return f"an {word}" if word.startswith("S") else f"a {word}"


def alias(file: ModelFile) -> str:
    """The name that the trainer wrote into the file; “” if it wrote none."""
    try:
        status = file.path.stat()
    except OSError:
        return ""
    return _alias(file.path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _alias(path: Path, _size: int, _mtime_ns: int) -> str:
    try:
        told = read_header(path).metadata.get(ALIAS, "")
    except (HeaderError, OSError):
        return ""
    return "" if told == "None" else told


def _aliases(here: Iterable[ModelFile]) -> dict[str, ModelFile]:
    """By alias; one that several files carry means none of them."""
    found: dict[str, list[ModelFile]] = {}
    for file in here:
        found.setdefault(alias(file), []).append(file)
    return {name: files[0] for name, files in found.items() if name and len(files) == 1}


def hashes_written(hashes: Mapping[str, str]) -> str:
    """The value of “Lora hashes” from hashes by tag name, as A1111 writes it."""
    return ", ".join(f"{_plain(name)}: {digest}" for name, digest in hashes.items())


def _plain(name: str) -> str:
    return re.sub("[:,]", "", name)


def hashes_read(params: Mapping[str, object]) -> dict[str, str]:
    """Hashes by LoRA name from an infotext: A1111's “Lora hashes”, Civitai's “Hashes” (JSON)."""
    pairs = (pair.rpartition(":") for pair in str(params.get("Lora hashes", "")).split(","))
    found = {name.strip(): digest.strip().lower() for name, _, digest in pairs if name.strip()}
    try:
        more = json.loads(str(params.get("Hashes", "{}")))
    except (ValueError, RecursionError):
        return found
    for name, digest in more.items() if isinstance(more, dict) else ():
        if name.lower().startswith("lora:"):
            found.setdefault(_plain(name[5:]), str(digest).lower())
    return found


def named_as_here(
    places: Places, prompt: str, hashes: Mapping[str, str]
) -> tuple[str, list[tuple[str, str]]]:
    """A prompt from elsewhere with the names that its LoRAs have on this machine.

    Returns:
        The prompt, and (name, why) for each LoRA that is not here or is another version. Raises
        ConfigError.
    """
    if not TAG.search(prompt):
        return prompt, []
    here = models(places, "lora")
    remarks: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        name = match[2]
        digest = hashes.get(_plain(name), "")
        same = by_hash(places, here, digest) if HASH.fullmatch(digest) else None
        if same is not None:
            return f"<{match[1]}:{same.name}"
        found = find(places, here, name)
        if found is None:
            like = nearest(name, [one.name for one in here])
            hint = f"; the nearest is “{like}”" if like else ""
            remarks[name] = f"there is no such LoRA here{hint}"
        elif digest and (own := known_data_hash(places, found.path)):
            own = own[:LORA_SHORT]
            remarks[name] = f"the LoRA “{name}” here has the hash {own}: another version of it"
        return match[0]

    return TAG.sub(rename, prompt), list(remarks.items())
