"""Neck, shoulders and what is worn on them."""

from __future__ import annotations

from .attributes import Portrait, Rgb
from .canvas import Canvas, Point, blend, shade

WHITE: Rgb = (252, 252, 252)
LINEN_EDGE: Rgb = (150, 155, 175)
SKIN: Rgb = (255, 224, 204)
SIDES = (-1, 1)
X, Y = 64, 54
"""The middle of the face; shoulders begin 33 units below."""

SHOULDERS: list[Point] = [
    (-10, 33), (-26, 39), (-35, 56), (-38, 84), (0, 90), (38, 84), (35, 56), (26, 39), (10, 33),
    (0, 36),
]  # fmt: skip


def draw_body(canvas: Canvas, portrait: Portrait) -> None:
    """Neck, trunk in the outfit's colour, then the piece of clothing."""
    colour = portrait.rgb("outfit")
    neck = [(-7, 20), (7, 20), (8, 36), (-8, 36)]
    canvas.polygon(_at(neck), shade(SKIN, 0.9), (150, 96, 84), 1)
    uniform = portrait.clothing == "school uniform"
    trunk: Rgb = (246, 246, 248) if uniform else colour
    edge: Rgb = (120, 120, 135) if uniform else shade(colour, 0.55)
    canvas.blob(_at(SHOULDERS), trunk, edge)
    for side in SIDES:
        canvas.line(_at([(side * 24, 56), (side * 26, 80)]), edge, 1.4)
    draw = {
        "shirt": _draw_shirt, "dress": _draw_dress, "school uniform": _draw_uniform,
        "maid": _draw_apron,
    }[portrait.clothing]  # fmt: skip
    draw(canvas, colour, shade(colour, 0.55))


def _at(points: list[Point]) -> list[Point]:
    return [(X + x, Y + y) for x, y in points]


def _light(colour: Rgb, share: float = 0.6) -> Rgb:
    """A detail on `colour`: lighter, or grey where the cloth is nearly white."""
    return blend(colour, WHITE, share) if min(colour) < 230 else (165, 165, 180)


def _draw_shirt(canvas: Canvas, colour: Rgb, edge: Rgb) -> None:
    for side in SIDES:
        collar = [(0, 37), (side * 11, 31), (side * 15, 40), (side * 5, 46)]
        canvas.polygon(_at(collar), blend(colour, WHITE, 0.35), edge, 1.2)
    canvas.line(_at([(0, 40), (0, 80)]), edge, 1.4)
    for y in (52, 62, 72):
        canvas.ellipse(X + 4, Y + y, 2, 2, _light(colour))


def _draw_dress(canvas: Canvas, colour: Rgb, edge: Rgb) -> None:
    for side in SIDES:
        canvas.ellipse(X + side * 30, Y + 47, 11, 9, blend(colour, WHITE, 0.2), edge)
    collar = [(-16, 35), (-10, 43), (0, 40), (10, 43), (16, 35), (0, 38)]
    canvas.blob(_at(collar), WHITE, edge, 1.2)
    canvas.line(_at([(-22, 64), (0, 67), (22, 64)]), _light(colour), 3.5)


def _draw_uniform(canvas: Canvas, colour: Rgb, edge: Rgb) -> None:
    """A wide sailor collar carries the colour; the bow is red."""
    for side in SIDES:
        collar = [(0, 52), (side * 8, 32), (side * 27, 39), (side * 25, 55), (side * 12, 55)]
        canvas.polygon(_at(collar), colour, edge, 1.3)
    canvas.polygon(_at([(-8, 34), (8, 34), (0, 47)]), shade(SKIN, 0.93))
    for side in SIDES:
        bow = [(0, 51), (side * 10, 45), (side * 10, 58)]
        canvas.polygon(_at(bow), (215, 45, 50), (110, 25, 30), 1.2)


def _draw_apron(canvas: Canvas, colour: Rgb, edge: Rgb) -> None:
    """Puffed sleeves, white apron with straps, white collar, a green brooch."""
    for side in SIDES:
        canvas.ellipse(X + side * 30, Y + 47, 11, 9, blend(colour, WHITE, 0.12), edge)
    right: list[Point] = [(22, 84), (18, 66), (15, 48)]
    left = [(-x, y) for x, y in reversed(right)]
    canvas.blob(_at([*left, (0, 90), *right, (0, 50)]), WHITE, LINEN_EDGE)
    for side in SIDES:
        strap = [(side * 10, 34), (side * 20, 37), (side * 19, 52), (side * 12, 50)]
        canvas.blob(_at(strap), WHITE, LINEN_EDGE)
    collar = [(-9, 34), (-8, 42), (0, 38), (8, 42), (9, 34)]
    canvas.blob(_at(collar), WHITE, edge, 1.2)
    canvas.ellipse(X, Y + 42, 3.2, 3.2, (60, 160, 90), (25, 80, 45), 1.2)
