"""Noise against A1111's own: Philox, pictures' generators, variations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sdtui.diffusion.philox import Philox
from sdtui.diffusion.rng import ImageNoise, slerp
from tests.vectors_path import load

pytestmark = pytest.mark.vectors
RNG = load("generation/rng.json")
NEAR = {"rtol": 0, "atol": 2e-6}
FACTOR = 8


def _start_of(tensor: torch.Tensor, wanted: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    return tensor.flatten()[: len(wanted)], torch.tensor(wanted, dtype=tensor.dtype)


@pytest.mark.parametrize("case", RNG["philox_randn"], ids=lambda c: f"{c['seed']}-{c['shape']}")
def test_philox(case: dict[str, Any]) -> None:
    generator = Philox(case["seed"])
    for draw in ("first_draw", "second_draw"):
        values = generator.normal(tuple(case["shape"]))
        assert values.shape == tuple(case["shape"])
        wanted = np.array(case[draw], dtype=np.float32)
        np.testing.assert_allclose(values.flatten()[: len(wanted)], wanted, **NEAR)


def _noise(case: dict[str, Any]) -> ImageNoise:
    known = {
        "shape", "seeds", "subseeds", "subseed_strength", "seed_resize_from_h",
        "seed_resize_from_w", "eta_noise_seed_delta",
    }  # fmt: skip
    args = case["args"]
    assert set(args) <= known, "an argument this test does not know"
    height, width = args.get("seed_resize_from_h", 0), args.get("seed_resize_from_w", 0)
    return ImageNoise(
        args["seeds"],
        tuple(args["shape"]),
        source=case["randn_source"],
        ensd=args.get("eta_noise_seed_delta", 0),
        variation_seeds=args.get("subseeds"),
        variation_strength=args.get("subseed_strength", 0),
        resize_from=(height // FACTOR, width // FACTOR),
    )


@pytest.mark.parametrize(
    "case", RNG["image_rng"], ids=lambda c: f"{c['note']}-{c['randn_source']}".replace(" ", "_")
)
def test_noise_of_pictures(case: dict[str, Any]) -> None:
    noise = _noise(case)
    first, second = noise.first(), noise.next()
    batch = [len(case["args"]["seeds"]), *case["args"]["shape"]]
    assert list(first.shape) == list(second.shape) == case.get("shape", batch)
    if "sum_first" in case:
        assert float(first.double().sum()) == pytest.approx(case["sum_first"], abs=1e-3, rel=1e-5)
    for drawn, wanted in (
        (first, case["first_noise_per_image"]),
        (second, case["second_noise_per_image"]),
    ):
        assert len(wanted) == len(drawn)
        for image, values in zip(drawn, wanted, strict=True):
            torch.testing.assert_close(*_start_of(image, values), **NEAR)


@pytest.mark.parametrize("case", RNG["slerp"], ids=lambda c: f"{c['val']}")
def test_slerp(case: dict[str, Any]) -> None:
    def noise(seed: int) -> torch.Tensor:
        return torch.randn(case["shape"], generator=torch.Generator().manual_seed(seed))

    mixed = slerp(case["val"], noise(case["low_seed"]), noise(case["high_seed"]))
    torch.testing.assert_close(*_start_of(mixed, case["first"]), **NEAR)
