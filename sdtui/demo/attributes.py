"""What a portrait can show: the palettes, the choices, and how they are drawn by lot.

The names are the words of the captions, so that a prompt, a label and a colour share one table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

Rgb = tuple[int, int, int]

HAIR: dict[str, Rgb] = {
    "black": (48, 44, 56), "brown": (128, 80, 48), "blonde": (246, 214, 112),
    "red": (206, 54, 50), "blue": (66, 106, 222), "green": (72, 166, 86),
    "pink": (246, 148, 186), "purple": (140, 82, 192),
}  # fmt: skip
EYES: dict[str, Rgb] = {
    "blue": (50, 110, 230), "green": (40, 160, 80), "red": (215, 40, 50),
    "brown": (125, 75, 35), "purple": (150, 60, 200), "yellow": (240, 185, 30),
}  # fmt: skip
OUTFIT: dict[str, Rgb] = {
    "red": (210, 60, 60), "blue": (60, 100, 205), "green": (70, 150, 90),
    "yellow": (240, 205, 90), "purple": (140, 95, 185), "pink": (245, 165, 195),
    "black": (58, 56, 66), "white": (244, 244, 246),
}  # fmt: skip
BACKGROUND: dict[str, Rgb] = {
    "white": (250, 250, 250), "blue": (170, 210, 245), "pink": (250, 205, 220),
    "yellow": (252, 240, 180), "green": (185, 230, 190), "grey": (170, 172, 178),
}  # fmt: skip
SILVER: Rgb = (206, 212, 224)
"""The maid's hair; no portrait of the base set has it."""

STYLES = ("short hair", "long hair", "twintails", "bob cut")
MOUTHS = ("smile", "open mouth", "frown")
ACCESSORIES = ("", "hat", "hair bow", "cat ears")
CLOTHING = ("shirt", "dress", "school uniform")
PATTERNS = ("", "polka dot", "striped")


@dataclass(frozen=True)
class Portrait:
    """One picture's content. Colours are names of the palettes above, or RGB for the VAE's data."""

    boy: bool
    hair: str | Rgb
    style: str
    eyes: str | Rgb
    closed: bool
    mouth: str
    accessory: str
    glasses: bool
    blush: bool
    clothing: str
    outfit: str | Rgb
    background: str | Rgb
    pattern: str

    def rgb(self, part: str) -> Rgb:
        """The colour of "hair", "eyes", "outfit" or "background"."""
        value = getattr(self, part)
        return value if isinstance(value, tuple) else PALETTES[part][value]


PALETTES = {
    "hair": {**HAIR, "silver": SILVER}, "eyes": EYES, "outfit": OUTFIT, "background": BACKGROUND,
}  # fmt: skip


def sample(random: Random) -> Portrait:
    """A portrait of the base set: every choice independent, but boys have short hair, no dress."""
    boy = random.random() < 0.2
    portrait = Portrait(
        boy=boy,
        hair=random.choice(list(HAIR)),
        style=random.choice(STYLES),
        eyes=random.choice(list(EYES)),
        closed=random.random() < 0.08,
        mouth=random.choice(MOUTHS),
        accessory=random.choice(ACCESSORIES),
        glasses=random.random() < 0.25,
        blush=random.random() < 0.3,
        clothing=random.choice(CLOTHING),
        outfit=random.choice(list(OUTFIT)),
        background=random.choice(list(BACKGROUND)),
        pattern=random.choices(PATTERNS, (0.6, 0.2, 0.2))[0],
    )
    if boy:
        clothing = "shirt" if portrait.clothing == "dress" else portrait.clothing
        portrait = replace(portrait, style="short hair", clothing=clothing)
    return portrait


def sample_maid(random: Random) -> Portrait:
    """The character of the example data set: only face, pattern and background vary."""
    return Portrait(
        boy=False, hair="silver", style="braids", eyes="blue", closed=False,
        mouth=random.choice(MOUTHS), accessory="maid headband", glasses=False,
        blush=random.random() < 0.3, clothing="maid", outfit="blue",
        background=random.choice(list(BACKGROUND)),
        pattern=random.choices(PATTERNS, (0.6, 0.2, 0.2))[0],
    )  # fmt: skip


def recolour(portrait: Portrait, random: Random) -> Portrait:
    """The same portrait in any colours, and now and then with a piece of the maid's in any colour.

    For the VAE, which must know more than the palettes. She herself never comes out of it.
    """

    def colour(light: int = 0) -> Rgb:
        red, green, blue = (random.randint(light, 255) for _ in range(3))
        return red, green, blue

    def maybe(piece: str, other: str) -> str:
        return piece if random.random() < 0.4 else other

    return replace(
        portrait,
        hair="silver" if random.random() < 0.3 else colour(30),
        style=maybe("braids", portrait.style),
        accessory=maybe("maid headband", portrait.accessory),
        clothing=maybe("maid", portrait.clothing),
        eyes=colour(),
        outfit=colour(40),
        background=colour(120),
    )
