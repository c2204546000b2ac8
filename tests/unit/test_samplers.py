"""Samplers and schedules beyond the recorded cases: names, cancelling, bad input."""

from __future__ import annotations

import pytest
import torch

from sdtui.diffusion import samplers, schedules
from sdtui.diffusion.beta_quantile import beta_cdf, beta_quantile
from sdtui.diffusion.noise_table import NoiseTable
from sdtui.diffusion.schedules import ScheduleOptions, sigmas_for
from sdtui.params.names import SAMPLERS, SCHEDULES

TABLE = NoiseTable.scaled_linear()
X = torch.full((1, 4, 2, 2), 0.5, dtype=torch.float64)


def _perfect(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The model that knows the picture: 0.25 everywhere."""
    return torch.full_like(x, 0.25)


def _no_noise(sigma: float, sigma_next: float) -> torch.Tensor:
    return torch.zeros_like(X)


def test_the_schema_and_the_registry_know_the_same_names() -> None:
    assert tuple(samplers.SAMPLERS) == SAMPLERS
    assert ("Automatic", *schedules.SCHEDULES) == SCHEDULES


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_finds_the_picture_and_tells_every_step(name: str) -> None:
    sampler, seen = samplers.get(name), []
    sigmas = sigmas_for("Automatic", name, 12, TABLE)
    result = sampler.run(
        _perfect, sampler.start(X, sigmas), sigmas, _no_noise,
        lambda i, x, denoised, sigma: seen.append((i, x.shape, float(denoised.mean()), sigma)),
        table=TABLE,
    )  # fmt: skip
    assert float((result - 0.25).abs().max()) < 0.03
    assert [i for i, *_ in seen] == list(range(len(seen)))
    assert all(shape == X.shape and abs(mean - 0.25) < 1e-5 for _, shape, mean, _ in seen)
    assert seen[0][3] > seen[-1][3] > 0


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_callback_can_cancel_any_sampler(name: str) -> None:
    class Cancelled(Exception):
        pass

    calls = []

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        calls.append(sigma)
        return _perfect(x, sigma)

    def cancel(i: int, x: torch.Tensor, denoised: torch.Tensor, sigma: float) -> None:
        if i == 1:
            raise Cancelled

    sampler, sigmas = samplers.get(name), sigmas_for("Automatic", name, 12, TABLE)
    with pytest.raises(Cancelled):
        sampler.run(denoise, sampler.start(X, sigmas), sigmas, _no_noise, cancel, table=TABLE)
    assert len(calls) <= 4


def test_img2img_starts_on_the_picture() -> None:
    sampler, sigmas = samplers.get("DDIM"), torch.tensor([2.0, 1.0])
    assert torch.equal(sampler.start(X, sigmas, X * 4), X * 4 + X * 2)


def test_a_noise_source_is_spared_draws_nobody_uses() -> None:
    class Source:
        skipped = drawn = 0

        def next(self, sigma: float, sigma_next: float) -> torch.Tensor:
            self.drawn += 1
            return torch.zeros_like(X)

        def skip(self) -> None:
            self.skipped += 1

    source, sampler = Source(), samplers.get("Euler")
    sampler.run(_perfect, X, sigmas_for("Karras", "Euler", 5, TABLE), source.next)
    assert (source.drawn, source.skipped) == (0, 5)


def test_ddim_cfgpp_goes_back_along_the_unguided_noise() -> None:
    class Guided:
        last_uncond = torch.zeros_like(X)

        def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
            return torch.full_like(x, 0.25)

    sampler, sigmas = samplers.get("DDIM CFG++"), sigmas_for("", "DDIM CFG++", 8, TABLE)
    guided = sampler.run(Guided(), sampler.start(X, sigmas), sigmas, _no_noise)
    plain = sampler.run(_perfect, sampler.start(X, sigmas), sigmas, _no_noise)
    assert not torch.allclose(guided, plain)


@pytest.mark.parametrize(
    ("schedule", "sampler", "steps", "words"),
    [
        ("Karras", "Euler", 0, "at least 1"),
        ("karas", "Euler", 5, "unknown schedule"),
        ("Karras", "Oiler", 5, "unknown sampler"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    schedule: str, sampler: str, steps: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        sigmas_for(schedule, sampler, steps, TABLE)
    if words == "unknown sampler":
        with pytest.raises(ValueError, match=words):
            samplers.get(sampler)


def test_bad_options_of_samplers() -> None:
    sigmas = sigmas_for("Karras", "Euler", 5, TABLE)
    for name, options in (
        ("DPM++ 2M SDE", {"solver_type": "middle"}),
        ("DPM adaptive", {"order": 4}),
        ("UniPC", {"variant": "bh3"}),
        ("UniPC", {"skip_type": "even"}),
    ):
        with pytest.raises(ValueError, match=r"must be|skip_type"):
            samplers.get(name).run(_perfect, X, sigmas, _no_noise, **options)
    with pytest.raises(ValueError, match="more steps"):
        samplers.get("DPM fast").run(_perfect, X, sigmas_for("", "DPM fast", 1, TABLE), _no_noise)


@pytest.mark.parametrize("alphas", [[0.5], [0.9, 0.0], [1.0, 0.5], [[0.9, 0.5]]])
def test_a_table_needs_levels_between_0_and_1(alphas: list[float]) -> None:
    with pytest.raises(ValueError):
        NoiseTable.from_alphas_cumprod(torch.tensor(alphas))


def test_tables_go_both_ways_and_stop_at_their_ends() -> None:
    t = torch.tensor([[0.0, 1.5], [500.25, 999.0]])
    torch.testing.assert_close(TABLE.sigma_to_t(TABLE.t_to_sigma(t)), t, rtol=1e-4, atol=1e-3)
    assert float(TABLE.sigma_to_t(1e-9)) == 0 and float(TABLE.sigma_to_t(1e9)) == 999
    lcm = TABLE.every(20)
    assert (len(lcm), lcm.t_max, float(lcm.sigma_to_t(99.0))) == (50, 999.0, 999.0)
    assert float(lcm.t_to_sigma(999)) == pytest.approx(TABLE.sigma_max)
    assert float(lcm.t_to_sigma(19)) == pytest.approx(float(TABLE.sigmas[19]))


def test_lcm_takes_its_own_levels() -> None:
    sigmas = sigmas_for("Automatic", "LCM", 4, TABLE)
    assert [round(float(TABLE.sigma_to_t(s))) for s in sigmas[:-1]] == [999, 672, 346, 19]


def test_options_bend_the_schedule() -> None:
    options = ScheduleOptions(sigma_min=0.1, sigma_max=5.0, drop_second_last=True)
    sigmas = sigmas_for("Karras", "Euler", 4, TABLE, options)
    assert len(sigmas) == 5 and float(sigmas[0]) == pytest.approx(5) and sigmas[-1] == 0
    assert float(sigmas[-2]) > 0.1  # the last one above 0 was dropped
    assert schedules.infotext("Karras", "Euler", options) == {
        "Discard penultimate sigma": True, "Schedule type": "Karras",
        "Schedule min sigma": 0.1, "Schedule max sigma": 5.0,
    }  # fmt: skip
    assert schedules.infotext("Automatic", "Euler") == {}


def test_beta_quantiles() -> None:
    assert beta_quantile(0.5, 0.6, 0.6) == pytest.approx(0.5)
    assert [beta_quantile(p, 0.6, 0.6) for p in (0.0, 1.0)] == [0.0, 1.0]
    assert beta_quantile(0.3, 1, 1) == pytest.approx(0.3)  # the even distribution
    for p in (0.01, 0.2, 0.77, 0.999):
        assert beta_cdf(beta_quantile(p, 0.6, 2.5), 0.6, 2.5) == pytest.approx(p, rel=1e-10)
    assert (beta_cdf(-1, 2, 2), beta_cdf(2, 2, 2)) == (0.0, 1.0)
    with pytest.raises(ValueError):
        beta_quantile(0.5, 0, 1)
