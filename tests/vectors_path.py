"""Where the cases obtained from the original programs lie.

`SDTUI_VECTORS` names another folder laid out like tests/vectors (generation/, training/); a file
that is missing there is taken from tests/vectors.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

DEFAULT = Path(__file__).parent / "vectors"


def vector_file(name: str) -> Path:
    """The file of `name` ("generation/sigmas.json")."""
    chosen = os.environ.get("SDTUI_VECTORS")
    if chosen and (Path(chosen) / name).is_file():
        return Path(chosen) / name
    return DEFAULT / name


def picture_file(name: str) -> Path | None:
    """The picture of `name` ("sd-parsers/empty_image.png"): in images/ beside or among the vectors.

    Pictures of other projects are not in this repository; None where they are not here.
    """
    roots = [DEFAULT, DEFAULT.parent.parent.parent / "shared"]
    if chosen := os.environ.get("SDTUI_VECTORS"):
        roots = [Path(chosen), Path(chosen).parent, *roots]
    found = (root / "images" / name for root in roots)
    return next((path for path in found if path.is_file()), None)


def load(name: str) -> Any:
    """The parsed JSON of `name`."""
    return json.loads(vector_file(name).read_text(encoding="utf-8"))
