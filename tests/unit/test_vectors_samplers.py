"""Every sampler on a closed-form model with closed-form noise, against A1111 and k-diffusion."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from sdtui.diffusion import samplers
from sdtui.diffusion.noise_table import NoiseTable
from sdtui.diffusion.schedules import sigmas_for, timesteps
from tests.vectors_path import load

pytestmark = pytest.mark.vectors
TOY = load("generation/sampler_toy.json")
TABLE = NoiseTable.scaled_linear()
X0 = torch.tensor(TOY["x0"], dtype=torch.float64).reshape(1, 4, 2, 2)
RELATIVE = 1e-6
CHOOSES_ITS_STEPS_IN_FLOAT32 = ("DPM fast", "DPM adaptive")
ROUNDED = 1e-5


class ToyModel:
    """D(x, sigma) = tanh(x / (1 + sigma^2)), counting its calls."""

    calls = 0

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        self.calls += 1
        return torch.tanh(x / (1 + sigma**2))


class ToyNoise:
    """The k-th draw is sqrt(2) sin(12.9898 (16 k + i) + 78.233), i = 0..15."""

    draws = 0

    def __call__(self, sigma: float, sigma_next: float) -> torch.Tensor:
        index = 16 * self.draws + torch.arange(16, dtype=torch.float64)
        self.draws += 1
        return (math.sqrt(2) * torch.sin(12.9898 * index + 78.233)).reshape(X0.shape)


def _name(run: dict[str, Any]) -> str:
    return f"{run['sampler']}-{run.get('schedule', 'timesteps')}-{run['steps']}-{run['kwargs']}"


@pytest.mark.parametrize("run", TOY["runs"], ids=_name)
def test_run_of_the_original(run: dict[str, Any]) -> None:
    sampler = samplers.get(run["sampler"])
    assert sampler.traits.function == run["function"]
    assert sampler.traits.by_timesteps == ("timesteps" in run)
    sigmas = sigmas_for(run.get("schedule", "Automatic"), run["sampler"], run["steps"], TABLE)
    if "timesteps" in run:
        assert timesteps(run["steps"]) == run["timesteps"]
        assert run["space"].startswith("VP")
    else:
        wanted = torch.tensor(run["sigmas"], dtype=torch.float64)
        torch.testing.assert_close(sigmas.double(), wanted, rtol=RELATIVE, atol=0)
    model, noise, steps = ToyModel(), ToyNoise(), []
    result = sampler.function(
        model,
        sampler.start(X0, sigmas),
        sigmas,
        noise,
        lambda i, x, denoised, sigma: steps.append(i),
        **run["kwargs"],
    )
    wanted = torch.tensor(run["result"], dtype=torch.float64)
    near = ROUNDED if run["sampler"] in CHOOSES_ITS_STEPS_IN_FLOAT32 else RELATIVE
    largest = float(wanted.abs().max())
    torch.testing.assert_close(result.flatten(), wanted, rtol=near, atol=near * largest)
    assert (model.calls, noise.draws) == (run["model_calls"], run["noise_draws"])
    assert steps == list(range(len(steps)))
