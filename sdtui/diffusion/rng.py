"""The noise of pictures: seeds, sources, variations, as A1111 draws it.

Every picture has a generator of its own, so a picture of a batch is the picture of that seed made
alone. Its first draw is the initial noise, the later ones are the sampler's. Sources: NV (Philox
in numpy: what an NVIDIA card gives, on every machine), CPU (torch), GPU (torch on CUDA; where
there is no CUDA device, NV takes its place).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from .philox import Philox

MAX_RANDOM_SEED = 4294967293
SOURCES = ("NV", "CPU", "GPU")


class Generator(Protocol):
    """A stream of draws, each a float32 tensor of the shape asked for."""

    def draw(self, shape: tuple[int, ...]) -> Tensor: ...

    def skip(self, shape: tuple[int, ...]) -> None: ...


class _Nv:
    def __init__(self, seed: int) -> None:
        self._philox = Philox(seed)

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(self._philox.normal(shape))

    def skip(self, shape: tuple[int, ...]) -> None:
        self._philox.skip()


class _Torch:
    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self._device)

    def skip(self, shape: tuple[int, ...]) -> None:
        self.draw(shape)


def generator(seed: int, source: str, device: torch.device | str = "cpu") -> Generator:
    """The generator of `seed`. `device` matters for the source GPU only."""
    if source not in SOURCES:
        raise ValueError(f"unknown random source “{source}”; known: {', '.join(SOURCES)}")
    if source == "CPU":
        return _Torch(seed, torch.device("cpu"))
    if source == "GPU" and torch.device(device).type == "cuda":
        return _Torch(seed, torch.device(device))
    return _Nv(seed)


def chosen_seed(seed: object) -> int:
    """The seed in force: -1, nothing or no number means a random one in 0..4294967293."""
    try:
        number = int(str(seed).strip())
    except ValueError:
        number = -1
    return random.randint(0, MAX_RANDOM_SEED) if number == -1 else number


def image_seeds(
    seed: int, count: int, variation_seed: int = 0, variation_strength: float = 0.0
) -> tuple[list[int], list[int]]:
    """(seeds, variation seeds) of `count` pictures: seed + i each; with a variation seed stays."""
    still = variation_strength != 0
    seeds = [seed if still else seed + i for i in range(count)]
    return seeds, [variation_seed + i for i in range(count)]


def slerp(share: float, low_CHW: Tensor, high_CHW: Tensor) -> Tensor:
    """Spherical interpolation from `low` (share 0) to `high` (1), A1111's.

    Angles are taken along the height axis, for each channel and column (not over the whole
    noise). Where the two are nearly parallel it is a straight line with the shares exchanged.
    """
    low_unit = low_CHW / low_CHW.norm(dim=1, keepdim=True)
    high_unit = high_CHW / high_CHW.norm(dim=1, keepdim=True)
    cosine = (low_unit * high_unit).sum(dim=1, keepdim=True)
    if float(cosine.mean()) > 0.9995:
        return low_CHW * share + high_CHW * (1 - share)
    angle = torch.acos(cosine)
    near = torch.sin((1 - share) * angle) / torch.sin(angle)
    far = torch.sin(share * angle) / torch.sin(angle)
    return near * low_CHW + far * high_CHW


def pasted(noise_CHW: Tensor, onto_CHW: Tensor) -> Tensor:
    """`noise` of another size laid centred onto `onto`; what does not fit is cut on both sides."""

    def span(own: int, other: int) -> tuple[slice, slice]:
        shift = (own - other) // 2
        length = other if shift >= 0 else other + 2 * shift
        there, here = max(shift, 0), max(-shift, 0)
        return slice(there, there + length), slice(here, here + length)

    rows, from_rows = span(onto_CHW.shape[1], noise_CHW.shape[1])
    columns, from_columns = span(onto_CHW.shape[2], noise_CHW.shape[2])
    result = onto_CHW.clone()
    result[:, rows, columns] = noise_CHW[:, from_rows, from_columns]
    return result


class ImageNoise:
    """The noise of a batch: `first()` once, then `next()` for each draw of the sampler.

    Args:
        seeds: one for each picture of the batch.
        shape_CHW: of one picture's latents.
        source: NV, CPU or GPU; `self.source` tells which one is in force.
        ensd: eta noise seed delta; generators restart at seed + ensd after the first draw.
        variation_seeds: one for each picture, mixed in by `variation_strength` (0..1).
        resize_from: (height, width) in latent cells of the picture whose noise is wanted in this
            size ("seed resize"); pixels divided by the VAE's factor.
        device, dtype: of the tensors given out; noise itself is drawn in float32.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        shape_CHW: tuple[int, int, int],
        source: str = "NV",
        ensd: int = 0,
        variation_seeds: Sequence[int] | None = None,
        variation_strength: float = 0.0,
        resize_from: tuple[int, int] | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not seeds:
            raise ValueError("a batch needs at least one seed")
        if variation_strength and len(variation_seeds or ()) != len(seeds):
            raise ValueError("a variation needs one variation seed for each picture")
        self.seeds, self.shape = list(seeds), tuple(shape_CHW)
        self.ensd, self.device, self.dtype = ensd, torch.device(device), dtype
        self.variation = (variation_strength, list(variation_seeds or ()))
        self.source = "NV" if source == "GPU" and self.device.type != "cuda" else source
        resized = (self.shape[0], *resize_from) if resize_from else self.shape
        self.drawn_shape = self.shape if min(resized) <= 0 else resized
        self.generators = [self._generator(seed) for seed in self.seeds]

    def _generator(self, seed: int) -> Generator:
        return generator(seed, self.source, self.device)

    def _first_of(self, index: int) -> Tensor:
        """The initial noise of one picture, (C,H,W)."""
        own, resized = self.generators[index], self.drawn_shape != self.shape
        source = self._generator(self.seeds[index]) if resized else own
        noise = source.draw(self.drawn_shape)
        strength, seeds = self.variation
        if strength:
            noise = slerp(strength, noise, self._generator(seeds[index]).draw(self.drawn_shape))
        return pasted(noise, own.draw(self.shape)) if resized else noise

    def first(self) -> Tensor:
        """The initial noise (B,C,H,W)."""
        noise = torch.stack([self._first_of(i) for i in range(len(self.seeds))])
        if self.ensd:
            self.generators = [self._generator(seed + self.ensd) for seed in self.seeds]
        return noise.to(self.device, self.dtype)

    def next(self, sigma: float = 0.0, sigma_next: float = 0.0) -> Tensor:
        """The sampler's next noise (B,C,H,W); the sigmas are there to fit `samplers.Noise`."""
        noise = torch.stack([one.draw(self.shape) for one in self.generators])
        return noise.to(self.device, self.dtype)

    def skip(self) -> None:
        """Pass over one draw that nobody looks at."""
        for one in self.generators:
            one.skip(self.shape)
