"""Smooth shapes with PIL: coordinates in a 128-unit square, drawn larger, then reduced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from .attributes import Rgb

UNITS = 128
Point = tuple[float, float]


def shade(colour: Rgb, factor: float) -> Rgb:
    """Darker below 1, lighter above."""
    red, green, blue = (max(0, min(255, int(value * factor))) for value in colour)
    return red, green, blue


def blend(colour: Rgb, other: Rgb, share: float) -> Rgb:
    """`share` of `other` in `colour`."""
    pairs = zip(colour, other, strict=True)
    red, green, blue = (int(a * (1 - share) + b * share) for a, b in pairs)
    return red, green, blue


def spline(points: Sequence[Point], closed: bool = True, steps: int = 8) -> list[Point]:
    """A Catmull-Rom curve through `points`."""
    count, curve = len(points), list[Point]()
    for index in range(count if closed else count - 1):
        before = points[(index - 1) % count] if closed or index else points[0]
        start, end = points[index], points[(index + 1) % count]
        after = points[(index + 2) % count] if closed or index + 2 < count else points[-1]
        for step in range(steps):
            t = step / steps
            x, y = (
                0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                       + (3 * b - a - 3 * c + d) * t**3)
                for a, b, c, d in zip(before, start, end, after, strict=True)
            )  # fmt: skip
            curve.append((x, y))
    return curve if closed else [*curve, points[-1]]


@dataclass(frozen=True)
class Pose:
    """Where the figure stands: shifted by so many units."""

    dx: float = 0.0
    dy: float = 0.0


class Canvas:
    """A picture of `size` pixels, drawn `oversampling` times larger. Set `pose` as you go."""

    def __init__(self, size: int, ground: Rgb, oversampling: int = 3) -> None:
        self.size, self.pose = size, Pose()
        self.scale = size * oversampling / UNITS
        self.image = Image.new("RGB", (size * oversampling,) * 2, ground)
        self.pen = ImageDraw.Draw(self.image)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        dx, dy = self.pose.dx, self.pose.dy
        return [((x + dx) * self.scale, (y + dy) * self.scale) for x, y in points]

    def _width(self, width: float) -> int:
        return max(1, round(width * self.scale))

    def polygon(
        self, points: Sequence[Point], fill: Rgb, edge: Rgb | None = None, width: float = 1.4
    ) -> None:
        pixels = self._pixels(points)
        self.pen.polygon(pixels, fill=fill)
        if edge:
            self.pen.line(pixels + pixels[:2], fill=edge, width=self._width(width), joint="curve")

    def blob(
        self, points: Sequence[Point], fill: Rgb, edge: Rgb | None = None, width: float = 1.4
    ) -> None:
        """A closed smooth shape."""
        self.polygon(spline(points), fill, edge, width)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: Rgb, edge: Rgb | None = None,
        width: float = 1.4,
    ) -> None:  # fmt: skip
        angles = [step * math.pi / 14 for step in range(28)]
        points = [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]
        self.polygon(points, fill, edge, width)

    def line(
        self, points: Sequence[Point], colour: Rgb, width: float, smooth: bool = True
    ) -> None:
        pixels = self._pixels(spline(points, closed=False) if smooth else points)
        self.pen.line(pixels, fill=colour, width=self._width(width), joint="curve")

    def finished(self) -> Image.Image:
        return self.image.resize((self.size, self.size), Image.Resampling.BOX)
