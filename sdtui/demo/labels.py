"""The attributes of a portrait as classes, for whoever must tell them from a picture."""

from __future__ import annotations

from .attributes import (
    ACCESSORIES,
    BACKGROUND,
    CLOTHING,
    EYES,
    HAIR,
    MOUTHS,
    OUTFIT,
    PATTERNS,
    STYLES,
    Portrait,
)

LABELS: dict[str, tuple[str, ...]] = {
    "person": ("girl", "boy"),
    "hair": (*HAIR, "silver"),
    "style": (*STYLES, "braids"),
    "eyes": (*EYES, "closed"),
    "mouth": MOUTHS,
    "accessory": (*ACCESSORIES, "maid headband"),
    "glasses": ("no", "yes"),
    "blush": ("no", "yes"),
    "clothing": (*CLOTHING, "maid"),
    "outfit": tuple(OUTFIT),
    "background": tuple(BACKGROUND),
    "pattern": PATTERNS,
}
"""Attribute -> its classes; the maid's are the last of hair, style, accessory and clothing."""


def values(portrait: Portrait) -> dict[str, str]:
    """What a picture of `portrait` shows, in the words of `LABELS`."""
    said = {name: getattr(portrait, name) for name in LABELS if hasattr(portrait, name)}
    said["person"] = "boy" if portrait.boy else "girl"
    said["glasses"] = "yes" if portrait.glasses else "no"
    said["blush"] = "yes" if portrait.blush else "no"
    if portrait.closed:
        said["eyes"] = "closed"
    return said


def classes(portrait: Portrait) -> list[int]:
    """The same as class numbers, in the order of `LABELS`."""
    said = values(portrait)
    return [choices.index(said[name]) for name, choices in LABELS.items()]
