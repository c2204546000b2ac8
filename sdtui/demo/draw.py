"""The portraits, drawn: one function a part, from the back of the picture to the front.

Shapes are large and flat, outlines dark, patterns always in the same place, because a model of
4 million weights is to draw them crisply. `render` gives the same picture for the same seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from PIL import Image

from .attributes import Portrait, Rgb
from .canvas import Canvas, Pose, blend, shade, spline
from .clothes import draw_body

WHITE: Rgb = (252, 252, 252)
SKIN: Rgb = (255, 224, 204)
SKIN_EDGE: Rgb = (150, 96, 84)
LASHES: Rgb = (50, 36, 44)
SIDES = (-1, 1)
X, Y = 64, 54
"""The middle of the face."""


@dataclass(frozen=True)
class HairTones:
    plain: Rgb
    deep: Rgb
    edge: Rgb
    light: Rgb


def render(portrait: Portrait, seed: int, size: int = 128) -> Image.Image:
    """`portrait` as RGB, size x size pixels (one head, drawn larger in larger pictures)."""
    return paint(portrait, seed, size).finished()


def paint(portrait: Portrait, seed: int, size: int = 128) -> Canvas:
    """The same before it is reduced, for who wants to draw more on it.

    `seed` decides where the figure stands (two pixels to each side), the hair's tone and its tips.
    """
    random = Random(seed)
    canvas = Canvas(size, portrait.rgb("background"))
    _draw_pattern(canvas, portrait)
    canvas.pose = Pose(dx=random.uniform(-2, 2), dy=random.uniform(-1.5, 1.5))
    plain = shade(portrait.rgb("hair"), random.uniform(0.98, 1.02))
    tones = HairTones(plain, shade(plain, 0.78), shade(plain, 0.5), blend(plain, WHITE, 0.35))
    _draw_back_hair(canvas, portrait.style, tones, random)
    draw_body(canvas, portrait)
    _draw_head(canvas, portrait)
    _draw_eyes(canvas, portrait, tones)
    _draw_mouth(canvas, portrait.mouth)
    _draw_front_hair(canvas, portrait.style, tones, random)
    _draw_accessory(canvas, portrait.accessory, tones)
    if portrait.glasses:
        _draw_glasses(canvas)
    return canvas


def pattern_colour(ground: Rgb) -> Rgb:
    """Lighter than the ground; greyer where that is white."""
    return blend(ground, WHITE, 0.7) if min(ground) < 235 else (206, 208, 218)


def _draw_pattern(canvas: Canvas, portrait: Portrait) -> None:
    """Dots or slanting stripes, 16 units apart."""
    colour = pattern_colour(portrait.rgb("background"))
    if portrait.pattern == "polka dot":
        for column in range(-1, 9):
            for row in range(-1, 9):
                canvas.ellipse(column * 16 + 4 + row % 2 * 8, row * 16 + 8, 4, 4, colour)
    elif portrait.pattern == "striped":
        for column in range(-5, 9):
            x = column * 16
            canvas.polygon([(x, 0), (x + 8, 0), (x + 72, 128), (x + 64, 128)], colour)


def _draw_back_hair(canvas: Canvas, style: str, tones: HairTones, random: Random) -> None:
    def tip(reach: float) -> float:
        return random.uniform(-reach, reach)

    if style == "long hair":
        w, b = 40 + tip(0.5), Y + 63 + tip(1)
        right = [(X + 18, b + 3), (X + w + 2, b), (X + w, Y + 42), (X + w - 3, Y + 12),
                 (X + 30, Y - 20)]  # fmt: skip
        left = [(2 * X - x, y) for x, y in reversed(right)]
        canvas.blob([(X, Y - 34), *left, (X, b), *right], tones.deep, tones.edge)
    elif style == "bob cut":
        w, b = 38 + tip(0.5), Y + 27 + tip(0.5)
        right = [(X + 22, b + 3), (X + w, b - 4), (X + w - 2, Y + 8), (X + 29, Y - 20)]
        left = [(2 * X - x, y) for x, y in reversed(right)]
        canvas.blob([(X, Y - 34), *left, (X, b), *right], tones.deep, tones.edge)
    elif style == "twintails":
        for side in SIDES:
            outline = [(27, -20), (42, -22), (54, -2), (57, 24), (49 + tip(1), 52), (42, 36),
                       (40, 10), (30, -6)]  # fmt: skip
            strand = [(44, -12), (50, 8), (49, 34)]
            canvas.blob([(X + side * x, Y + y) for x, y in outline], tones.plain, tones.edge)
            canvas.line([(X + side * x, Y + y) for x, y in strand], tones.deep, 1.8)
        canvas.ellipse(X, Y - 4, 32, 29, tones.deep, tones.edge)
    elif style == "short hair":
        for side in SIDES:
            outline = [(18, -20), (34, -8), (36 + tip(0.5), 14), (30, 20), (20, 10)]
            canvas.blob([(X + side * x, Y + y) for x, y in outline], tones.deep, tones.edge)
    elif style == "braids":
        canvas.ellipse(X, Y - 2, 33, 31, tones.deep, tones.edge)


def _draw_head(canvas: Canvas, portrait: Portrait) -> None:
    for side in SIDES:
        canvas.ellipse(X + side * 28, Y + 8, 4.5, 6, SKIN, SKIN_EDGE, 1)
    right = [(12, 25), (25, 16), (29, 0), (22, -20)]
    outline = [(0, -28), *((-x, y) for x, y in reversed(right)), (0, 28), *right]
    canvas.blob([(X + x, Y + y) for x, y in outline], SKIN, SKIN_EDGE)
    if portrait.blush:
        for side in SIDES:
            canvas.ellipse(X + side * 20, Y + 17.5, 5.2, 3, (255, 160, 155))


def _draw_eyes(canvas: Canvas, portrait: Portrait, tones: HairTones) -> None:
    iris = portrait.rgb("eyes")
    frowning = portrait.mouth == "frown"
    lash, thickness = ((112, 76, 70), 1.6) if portrait.boy else (LASHES, 2.7)
    for side in SIDES:
        x, y = X + side * 13, Y + 6
        if portrait.closed:
            canvas.line([(x - 7.5, y + 1), (x, y + 5.5), (x + 7.5, y + 1)], lash, thickness)
        else:
            canvas.ellipse(x, y, 7.4, 9, WHITE)
            canvas.ellipse(x, y + 0.6, 6.2, 8.4, shade(iris, 0.5))
            canvas.ellipse(x, y + 1.6, 5.5, 7.1, iris)
            canvas.ellipse(x, y + 0.2, 2.1, 2.9, shade(iris, 0.25))
            canvas.ellipse(x - 2.2, y - 3.8, 2.1, 2.4, WHITE)
            lid = [(x - 8, y - 3.5), (x - 4.4, y - 8.8), (x + 4.4, y - 8.8), (x + 8, y - 3.5)]
            canvas.line(lid, lash, thickness)
            if not portrait.boy:
                flick = [(x + side * 6.5, y - 5.5), (x + side * 10.5, y - 7)]
                canvas.line(flick, lash, 2.2, smooth=False)
        slope = side * 2 if frowning else 0
        canvas.line([(x - 5, y - 13 - slope), (x, y - 14), (x + 5, y - 13 + slope)],
                    shade(tones.plain, 0.6), 2.4 if portrait.boy else 1.5)  # fmt: skip


def _draw_mouth(canvas: Canvas, mouth: str) -> None:
    lip: Rgb = (160, 50, 56)
    if mouth == "smile":
        canvas.line([(X - 6.5, Y + 17.5), (X, Y + 21.5), (X + 6.5, Y + 17.5)], lip, 2)
    elif mouth == "frown":
        canvas.line([(X - 6, Y + 22), (X, Y + 18), (X + 6, Y + 22)], lip, 2)
    else:
        right = [(3.8, 23), (6.4, 16.2)]
        outline = [(-6.4, 16.2), (0, 17), *reversed(right), (0, 24.4), (-3.8, 23)]
        canvas.blob([(X + x, Y + y) for x, y in outline], (200, 56, 62), (120, 36, 42), 1.3)


def _draw_front_hair(canvas: Canvas, style: str, tones: HairTones, random: Random) -> None:
    tips = [random.uniform(-0.5, 0.5) for _ in range(4)]
    top = [(-32, 8), (-35, -8), (-26, -28), (0, -37), (26, -28), (35, -8), (32, 8)]
    fringe = [(27, -5), (21, -2 + tips[0]), (14, -11), (8, -2 + tips[1]), (1, -12),
              (-7, -2 + tips[2]), (-13, -11), (-20, -2 + tips[3]), (-27, -5)]  # fmt: skip
    if style in ("long hair", "bob cut"):
        top[0], top[-1], fringe[0], fringe[-1] = (-33, 20), (33, 20), (28, -2), (-28, -2)
    edge = spline([(X + x, Y + y) for x, y in top], closed=False)
    canvas.polygon([*edge, *((X + x, Y + y) for x, y in fringe)], tones.plain, tones.edge)
    canvas.line([(X - 18, Y - 23), (X - 4, Y - 27), (X + 10, Y - 26)], tones.light, 2.8)
    if style == "braids":
        for side in SIDES:
            _draw_braid(canvas, side, tones)
    if style == "twintails":
        for side in SIDES:
            canvas.ellipse(X + side * 31, Y - 17, 4, 5, (235, 80, 90), (120, 30, 40), 1)


def _draw_braid(canvas: Canvas, side: int, tones: HairTones) -> None:
    """Six beads of hair and a green ribbon at the end."""
    for bead in range(6):
        fill = tones.light if bead % 2 == 0 else tones.plain
        canvas.ellipse(X + side * (31 + bead * 1.2), Y + 12 + bead * 8, 5.6 - 0.25 * bead, 5.6,
                       fill, tones.edge, 1.2)  # fmt: skip
    x, y = X + side * 37.5, Y + 58
    canvas.ellipse(x, y + 6, 4.5, 5, tones.plain, tones.edge, 1.2)
    draw_bow(canvas, x, y, 8, 5, (50, 165, 85))


def draw_bow(canvas: Canvas, x: float, y: float, reach: float, height: float, colour: Rgb) -> None:
    """Two triangles and a knot."""
    edge = shade(colour, 0.5)
    for side in SIDES:
        wing = [(x, y), (x + side * reach, y - height), (x + side * reach, y + height)]
        canvas.polygon(wing, colour, edge, 1.2)
    canvas.ellipse(x, y, reach * 0.27, reach * 0.27, shade(colour, 0.9), edge, 1)


def _draw_accessory(canvas: Canvas, accessory: str, tones: HairTones) -> None:
    if accessory == "cat ears":
        for side in SIDES:
            outer = [(30, -18), (29, -44), (10, -33)]
            inner = [(26.5, -23), (26.5, -37), (16, -31)]
            canvas.polygon([(X + side * x, Y + y) for x, y in outer], tones.plain, tones.edge)
            canvas.polygon([(X + side * x, Y + y) for x, y in inner], (250, 180, 185))
    elif accessory == "hat":
        straw, straw_edge = (226, 184, 110), (120, 86, 40)
        crown = [(-27, -22), (-24, -42), (0, -50), (24, -42), (27, -22), (0, -26)]
        brim = [(-46, -17), (-26, -24), (0, -26), (26, -24), (46, -17), (24, -16), (0, -19),
                (-24, -16)]  # fmt: skip
        canvas.blob([(X + x, Y + y) for x, y in crown], straw, straw_edge)
        canvas.blob([(X + x, Y + y) for x, y in brim], straw, straw_edge)
        canvas.line([(X - 26, Y - 26), (X, Y - 29), (X + 26, Y - 26)], (190, 50, 55), 4.5)
    elif accessory == "hair bow":
        draw_bow(canvas, X + 19, Y - 29, 13, 8, (230, 50, 70))
    elif accessory == "maid headband":
        _draw_headband(canvas)


def _draw_headband(canvas: Canvas) -> None:
    """White frills over the head."""
    angles = [math.pi * (1.18 + 0.08 * step) for step in range(9)]
    for angle in angles:
        x, y = X + math.cos(angle) * 34, Y - 2 + math.sin(angle) * 36
        canvas.ellipse(x, y, 5.2, 4.6, WHITE, (150, 155, 175), 1.2)
    band = [(X + math.cos(a) * 32, Y - 1 + math.sin(a) * 33) for a in angles]
    canvas.line(band, (250, 250, 253), 4)


def _draw_glasses(canvas: Canvas) -> None:
    frame: Rgb = (36, 36, 56)
    angles = [step * math.pi / 14 for step in range(29)]
    for side in SIDES:
        x, y = X + side * 13, Y + 6.5
        rim = [(x + 10.8 * math.cos(a), y + 11 * math.sin(a)) for a in angles]
        canvas.line(rim, frame, 2.2, smooth=False)
    canvas.line([(X - 2.4, Y + 5), (X + 2.4, Y + 5)], frame, 2.2, smooth=False)
