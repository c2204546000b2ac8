"""Noise of pictures beyond the recorded cases."""

from __future__ import annotations

import pytest
import torch

from sdtui.diffusion.rng import ImageNoise, chosen_seed, image_seeds, slerp

SHAPE = (4, 6, 8)


@pytest.mark.parametrize("source", ["NV", "CPU", "GPU"])
def test_a_picture_of_a_batch_is_the_single_picture(source: str) -> None:
    batch = ImageNoise([5, 6, 7], SHAPE, source=source)
    single = ImageNoise([6], SHAPE, source=source)
    for _ in range(2):
        assert torch.equal(batch.first()[1], single.first()[0])
    assert torch.equal(batch.next()[1], single.next()[0])


@pytest.mark.parametrize("source", ["NV", "CPU"])
def test_skipping_is_drawing_unseen(source: str) -> None:
    one, other = (ImageNoise([5], SHAPE, source=source) for _ in range(2))
    one.next()
    other.skip()
    assert torch.equal(one.next(), other.next())


def test_gpu_without_cuda_is_nv_and_says_so() -> None:
    noise = ImageNoise([5], SHAPE, source="GPU", device="cpu")
    assert noise.source == "NV"
    assert torch.equal(noise.first(), ImageNoise([5], SHAPE, source="NV").first())


def test_noise_comes_in_the_wanted_type() -> None:
    noise = ImageNoise([5], SHAPE, dtype=torch.float16)
    assert noise.first().dtype == noise.next().dtype == torch.float16
    assert noise.first().shape == (1, *SHAPE)


def test_large_and_negative_seeds() -> None:
    for seed in (0, -2, 2**32, 2**64 - 1):
        assert torch.isfinite(ImageNoise([seed], SHAPE).first()).all()
    a, b = ImageNoise([1], SHAPE).first(), ImageNoise([1 + 2**32], SHAPE).first()
    assert not torch.equal(a, b)


def test_seeds_of_a_batch() -> None:
    assert image_seeds(10, 3) == ([10, 11, 12], [0, 1, 2])
    assert image_seeds(10, 3, 100, 0.2) == ([10, 10, 10], [100, 101, 102])


@pytest.mark.parametrize("nothing", [-1, "-1", "", None, "abc", "1.5"])
def test_no_seed_means_any(nothing: object) -> None:
    assert 0 <= chosen_seed(nothing) <= 4294967293
    assert len({chosen_seed(nothing) for _ in range(8)}) > 1


def test_a_seed_is_kept() -> None:
    assert (chosen_seed(0), chosen_seed(" 42 "), chosen_seed(2**40)) == (0, 42, 2**40)


def test_nearly_parallel_noise_is_mixed_straight_and_mirrored() -> None:
    a = torch.ones(1, 4, 4)
    torch.testing.assert_close(slerp(0.25, a, 2 * a), a * 1.75)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [1], "source": "TPU"}, "unknown random source"),
        ({"seeds": [1, 2], "variation_seeds": [3], "variation_strength": 0.5}, "one variation"),
    ],
)
def test_bad_requests_say_what_is_wrong(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ImageNoise(**{"shape_CHW": SHAPE, **arguments})  # type: ignore[arg-type]
