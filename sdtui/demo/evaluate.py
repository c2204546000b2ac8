"""Does a picture show what its prompt says? Shares per attribute, beside a shuffled control."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from PIL import Image

from . import judge as judges
from . import probes
from .attributes import Portrait
from .labels import values

GOALS = {
    "hair": 95, "style": 95, "outfit": 95, "clothing": 95, "accessory": 95, "glasses": 95,
    "background": 95, "eyes": 85, "mouth": 85, "pattern": 85,
}  # fmt: skip
"""Attribute -> the least share in percent that issue 3 asks for."""


@dataclass(frozen=True)
class Row:
    """One line of the table, shares in percent."""

    attribute: str
    followed: float
    control: float
    """The same pictures against other pictures' prompts."""
    probe: float | None
    """What the untrained colour probe says, where there is one."""
    goal: int | None


def followed(said: list[dict[str, str]], seen: list[dict[str, str]], name: str) -> float:
    """Share in percent of pictures in which attribute `name` is as said."""
    right = [a[name] == b[name] for a, b in zip(said, seen, strict=True)]
    return 100 * sum(right) / len(right)


def table(portraits: list[Portrait], images: list[Image.Image]) -> list[Row]:
    """Judge `images`, each made from the prompt of its portrait."""
    said = [values(portrait) for portrait in portraits]
    seen = judges.look(judges.load(), images)
    order = list(range(len(said)))
    Random(0).shuffle(order)
    shuffled = [said[index] for index in order]
    probed = [probes.look(i, p) for i, p in zip(images, portraits, strict=True)]
    for words, portrait in zip(probed, portraits, strict=True):
        if portrait.closed:
            words["eyes"] = "closed"
    rows = []
    for name in said[0]:
        probe = followed(said, probed, name) if name in probed[0] else None
        rows.append(Row(name, followed(said, seen, name), followed(shuffled, seen, name), probe,
                        GOALS.get(name)))  # fmt: skip
    one = 100 * sum(words["heads"] == "one" for words in seen) / len(seen)
    return [*rows, Row("one head", one, one, None, 95)]


def draw(model: Path, prompts: list[str]) -> list[Image.Image]:
    """One picture for each prompt by diffusers' own pipeline: 20 steps, CFG 4, 128 px."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(model, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    images: list[Image.Image] = []
    for start in range(0, len(prompts), 8):
        part = prompts[start : start + 8]
        seeds = [torch.Generator().manual_seed(start + number) for number in range(len(part))]
        images += pipeline(part, num_inference_steps=20, guidance_scale=4.0, width=128, height=128,
                           generator=seeds).images  # fmt: skip
    return images


def lines(rows: list[Row]) -> list[str]:
    """The table in Markdown."""
    text = ["| attribute | followed % | shuffled prompts % | colour probe % | goal % |",
            "|---|---|---|---|---|"]  # fmt: skip
    for row in rows:
        probe = "" if row.probe is None else f"{row.probe:.1f}"
        goal = "" if row.goal is None else f">= {row.goal}"
        cells = (row.attribute, f"{row.followed:.1f}", f"{row.control:.1f}", probe, goal)
        text.append(f"| {' | '.join(cells)} |")
    return text
