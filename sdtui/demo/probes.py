"""Colour probes: what a picture's colours are, read where the drawing puts them. No training.

They know only the palettes and the geometry of `draw`, so they check the judge independently.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from .attributes import BACKGROUND, EYES, HAIR, OUTFIT, Portrait, Rgb
from .draw import pattern_colour

SIZE = 128
HAIR_BOX = (44, 38, 84, 43)
"""Left, top, right, bottom in a 128 px picture: the fringe, below any hat."""
OUTFIT_BOXES = {
    "shirt": (44, 106, 58, 126), "dress": (46, 106, 60, 116), "school uniform": (42, 96, 53, 106),
}  # fmt: skip
BACKGROUND_BOXES = ((0, 0, 12, 40), (116, 0, 128, 40))
IRIS_BOXES = ((48, 62, 54, 67), (74, 62, 80, 67))


def _box(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = box
    return image[top:bottom, left:right].reshape(-1, 3)


def _nearest(colour: np.ndarray, palette: dict[str, Rgb]) -> str:
    return min(palette, key=lambda name: float(np.abs(colour - palette[name]).sum()))


def hair(image: np.ndarray) -> str:
    return _nearest(np.median(_box(image, HAIR_BOX), axis=0), HAIR)


def outfit(image: np.ndarray, clothing: str) -> str:
    return _nearest(np.median(_box(image, OUTFIT_BOXES[clothing]), axis=0), OUTFIT)


def eyes(image: np.ndarray) -> str:
    """Meaningless where eyes are closed."""
    pixels = np.concatenate([_box(image, box) for box in IRIS_BOXES])
    return _nearest(np.median(pixels, axis=0), EYES)


def background(image: np.ndarray) -> str:
    """The ground whose two colours (plain and pattern) lie nearest to the corners' pixels."""
    pixels = np.concatenate([_box(image, box) for box in BACKGROUND_BOXES])

    def distance(name: str) -> float:
        two = np.array([BACKGROUND[name], pattern_colour(BACKGROUND[name])], dtype=float)
        apart = np.abs(pixels[:, None] - two[None]).sum(-1)
        return float(apart.min(1).mean())

    return min(BACKGROUND, key=distance)


def look(image: Image.Image, portrait: Portrait) -> dict[str, str]:
    """Hair, outfit, background and eye colour of a picture that should show `portrait`."""
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    pixels = np.asarray(image.convert("RGB"), dtype=float)
    return {"hair": hair(pixels), "outfit": outfit(pixels, portrait.clothing),
            "background": background(pixels), "eyes": eyes(pixels)}  # fmt: skip
