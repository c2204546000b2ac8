"""Sigma lists, timesteps and the noise table against A1111's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sdtui.diffusion import schedules
from sdtui.diffusion.noise_table import NoiseTable
from sdtui.diffusion.schedules import ScheduleOptions, sigmas_for
from tests.vectors_path import load

pytestmark = pytest.mark.vectors
SIGMAS = load("generation/sigmas.json")
TABLE = NoiseTable.scaled_linear()
RELATIVE = 1e-5

OPTIONS = {  # A1111's settings -> ours
    "use_old_karras_scheduler_sigmas": "old_karras_range",
    "rho": "rho",
    "sigma_min": "sigma_min",
    "sigma_max": "sigma_max",
    "always_discard_next_to_last_sigma": "drop_second_last",
    "beta_dist_alpha": "beta_alpha",
    "beta_dist_beta": "beta_beta",
}


def _options(case: dict[str, Any]) -> ScheduleOptions:
    bends = {OPTIONS[name]: value for name, value in case.get("options", {}).items()}
    return ScheduleOptions(sdxl=case.get("model", "sd1") == "sdxl", **bends)


def _name(case: dict[str, Any]) -> str:
    words = [case["sampler"], case["schedule"], str(case["steps"]), case.get("model", "")]
    return "-".join([*words, *case.get("options", {})]).replace(" ", "_")


@pytest.mark.parametrize("case", SIGMAS["sigma_cases"], ids=_name)
def test_sigmas(case: dict[str, Any]) -> None:
    assert set(case) <= {
        "sampler", "schedule", "steps", "model", "sigmas", "options", "written_to_infotext"
    }, "a field this test does not know"  # fmt: skip
    options = _options(case)
    sigmas = sigmas_for(case["schedule"], case["sampler"], case["steps"], TABLE, options)
    wanted = torch.tensor(case["sigmas"], dtype=torch.float64)
    torch.testing.assert_close(sigmas.double(), wanted, rtol=RELATIVE, atol=0)
    if "written_to_infotext" in case:
        written = schedules.infotext(case["schedule"], case["sampler"], options)
        assert written == case["written_to_infotext"]


@pytest.mark.parametrize("case", SIGMAS["timestep_sampler_cases"], ids=lambda c: str(c["steps"]))
def test_timesteps(case: dict[str, Any]) -> None:
    assert schedules.timesteps(case["steps"]) == case["timesteps"]
    for name in ("DDIM", "DDIM CFG++", "PLMS", "UniPC"):
        sigmas = sigmas_for("Karras", name, case["steps"], TABLE)
        back = TABLE.sigma_to_t(sigmas.flip(0)).round().int().tolist()
        assert back == case["timesteps"]


def test_discrete_table() -> None:
    table = SIGMAS["discrete_schedule"]
    assert float(TABLE.log_sigmas[0]) == pytest.approx(table["log_sigma_first"], rel=1e-6)
    assert TABLE.sigma_min == pytest.approx(table["sigma_min"], rel=1e-6)
    assert TABLE.sigma_max == pytest.approx(table["sigma_max"], rel=1e-6)
    for end, values in (("first", slice(0, 3)), ("last", slice(-3, None))):
        wanted = table[f"alphas_cumprod_{end}"]
        assert TABLE.alphas_cumprod[values].tolist() == pytest.approx(wanted, rel=1e-6)
    for sigma, t in table["sigma_to_t"].items():
        assert float(TABLE.sigma_to_t(float(sigma))) == pytest.approx(t, rel=1e-5)
    for t, sigma in table["t_to_sigma"].items():
        assert float(TABLE.t_to_sigma(float(t))) == pytest.approx(sigma, rel=1e-5)


def test_downcast_table() -> None:
    table = TABLE.downcast()
    assert table.sigma_min == SIGMAS["downcast_compat"]["sigma_min"]
    assert table.sigma_max == SIGMAS["downcast_compat"]["sigma_max"]
