"""The last prompt and settings, so that the next start begins where the last one ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sdtui.params.base import ParamError, build
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Layer, Settings

from .atomic import replace_text
from .places import Places

SCHEMA = 1
MAX_BYTES = 4 << 20


@dataclass
class Session:
    """What the terminal program remembers."""

    settings: Settings[GenerateParams] = field(default_factory=lambda: Settings(GenerateParams))
    theme: str = ""
    preset: str = ""
    unfolded: bool = False


def save(places: Places, session: Session) -> None:
    """Raises OSError."""
    settings = session.settings
    content = {
        "schema": SCHEMA,
        "layers": [{"source": x.source, "values": dict(x.values)} for x in settings.layers],
        "edits": dict(settings.edits),
        "theme": session.theme,
        "preset": session.preset,
        "unfolded": session.unfolded,
    }
    replace_text(places.session_file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def load(places: Places) -> tuple[Session | None, str]:
    """The session, and a sentence if there was one that could not be used (it is set aside)."""
    path = places.session_file
    if not path.exists():
        return None, ""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("far too large")
        return _read(json.loads(path.read_text(encoding="utf-8"))), ""
    except OSError as error:
        return None, f"The last settings could not be read: {error.strerror}"
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        aside = path.with_suffix(".broken")
        try:
            path.replace(aside)
        except OSError:
            aside = path
        return None, f"The last settings could not be read ({error}); they are kept in {aside}"


def _read(content: dict[str, Any]) -> Session:
    if content["schema"] != SCHEMA:
        raise ValueError(f"written by another version (schema {content['schema']})")
    known = GenerateParams.model_fields
    layers = tuple(
        Layer(str(layer["source"]), {k: v for k, v in layer["values"].items() if k in known})
        for layer in content["layers"]
    )
    edits = {k: v for k, v in content["edits"].items() if k in known}
    settings: Settings[GenerateParams] = Settings(GenerateParams, layers, edits)
    try:
        build(GenerateParams, settings.values())
    except ParamError as error:
        raise ValueError(str(error)) from None
    return Session(
        settings, str(content.get("theme", "")), str(content.get("preset", "")),
        bool(content.get("unfolded", False)),
    )  # fmt: skip
