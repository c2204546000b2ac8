"""The index of pictures: which are the latest, which have these words in their prompt.

The pictures are the truth and the index can be rebuilt from them at any time. Only the backend
writes it; everybody else opens it read-only.
"""

from __future__ import annotations

from typing import Protocol

from .places import Places


class Picture(Protocol):
    """What the index needs to know of a picture; `backend.protocol.SavedImage` is one."""

    path: str
    seed: int
    width: int
    height: int
    infotext: str


class Gallery:
    def __init__(self, places: Places) -> None:
        self._places = places

    def add(self, image: Picture, job: int | None, created_s: float) -> None: ...

    def refresh_in_background(self) -> None: ...

    def close(self) -> None: ...
