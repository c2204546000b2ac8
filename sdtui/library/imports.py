"""An infotext applied on this machine: its settings, with the checkpoint that is here."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sdtui.formats.infotext import Infotext, parse
from sdtui.formats.infotext_apply import Ignored, Imported, to_values
from sdtui.formats.model_titles import match_title
from sdtui.params.base import nearest

from . import loras
from .catalog import AUTOMATIC, OWN, CatalogError, Checkpoint, checkpoints, find_model
from .hashes import SHORT, known_hash
from .places import Places

_HASH = re.compile(rf"[0-9a-f]{{{SHORT},64}}")
_TITLE_HASH = re.compile(r"\s*\[[0-9a-f]+\]$")
_SUFFIX = re.compile(r"\.(safetensors|ckpt)$")


def read_infotext(places: Places, text: str) -> Imported:
    """What `text` sets here (see `to_values`).

    The checkpoint is the one with the text's hash, else of its name, else the one with the
    shortest name that contains it. Only hashes already computed are compared. If there is none,
    the checkpoint stays what it is, and `ignored` names the nearest there is.
    """
    read = parse(text)
    imported = _loras_here(places, _vae_here(places, to_values(read)), read)
    name = _SUFFIX.sub("", _TITLE_HASH.sub("", str(read.params.get("Model", ""))).strip())
    digest = str(read.params.get("Model hash", "")).lower()
    digest = digest if _HASH.fullmatch(digest) else ""
    if not name and not digest:
        return imported
    here = checkpoints(places)
    values = {key: value for key, value in imported.values.items() if key != "checkpoint"}
    found, remark = _find(places, here, name, digest)
    if found is not None:
        values["checkpoint"] = found.name
    ignored = (*imported.ignored, *([remark] if remark else []))
    return replace(imported, values=values, ignored=ignored)


def _vae_here(places: Places, imported: Imported) -> Imported:
    """A VAE that is not on this machine is left out, with a remark."""
    name = str(imported.values.get("vae", "Automatic"))
    if name in (AUTOMATIC, OWN):
        return imported
    try:
        found = find_model(places, "vae", name)
    except CatalogError as error:
        values = {key: value for key, value in imported.values.items() if key != "vae"}
        return replace(
            imported, values=values, ignored=(*imported.ignored, Ignored("VAE", name, str(error)))
        )
    return replace(imported, values={**imported.values, "vae": found.name})


def _loras_here(places: Places, imported: Imported, read: Infotext) -> Imported:
    """The prompt with the names of the LoRAs here that have the text's hashes."""
    given = imported.values.get("prompt")
    hashes = loras.hashes_read(read.params)
    prompt, remarks = loras.named_as_here(places, str(given or ""), hashes)
    values = {**imported.values, **({"prompt": prompt} if given else {})}
    told = [Ignored("LoRA", name, why) for name, why in remarks]
    return replace(imported, values=values, ignored=(*imported.ignored, *told))


def _find(
    places: Places, here: list[Checkpoint], name: str, digest: str
) -> tuple[Checkpoint | None, Ignored | None]:
    hashes: dict[str, Any] = {one.name: known_hash(places, one.path) or "" for one in here}
    if digest:
        same = next((one for one in here if hashes[one.name].startswith(digest)), None)
        if same is not None:
            return same, None
    title = match_title(name, [one.name for one in here])
    exact = next((one for one in here if one.name == name), None)
    found = exact or next((one for one in here if one.name == title), None)
    if found is None:
        return None, Ignored("Model", name or digest, _missing(here, name))
    other = hashes[found.name][:SHORT]
    if digest and other:
        why = f"the checkpoint “{found.name}” here has the hash {other}: another version of it"
        return found, Ignored("Model hash", digest, why)
    if exact is None:
        return found, Ignored("Model", name, f"taken for the checkpoint “{found.name}”")
    return found, None


def _missing(here: list[Checkpoint], name: str) -> str:
    like = nearest(name, [one.name for one in here]) if name else None
    return "there is no such checkpoint here" + (f"; the nearest is “{like}”" if like else "")
