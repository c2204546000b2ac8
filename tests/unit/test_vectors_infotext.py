"""Infotext read and written as A1111 1.10.1 does, and where Forge and 1.6.0 read differently."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from sdtui.diffusion import schedules
from sdtui.diffusion.schedules import ScheduleOptions
from sdtui.formats import infotext_apply
from sdtui.formats.compat import Compat, deviations
from sdtui.formats.infotext import RULES, Infotext, format_infotext, parse
from sdtui.formats.infotext_fields import hires_pairs, ordered, written_ensd, written_schedule
from sdtui.formats.sampler_names import SAMPLER_TRAITS
from sdtui.formats.styles import Style
from tests.vectors_path import load

pytestmark = pytest.mark.vectors
CASES = load("generation/infotext.json")["cases"]
TRIPS = load("generation/infotext_roundtrip.json")["cases"]
ABSENT = "<absent>"


def _name(case: dict[str, Any]) -> str:
    return case["note"].replace(" ", "_")


def _read(case: dict[str, Any], compat: Compat) -> Infotext:
    styles = [Style(**style) for style in case.get("styles_csv", [])]
    return parse(case["infotext"], compat, styles)


def _changed(params: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """What is in `params` and not the same in `expected`."""
    return {k: v for k, v in params.items() if k not in expected or expected[k] != v}


def test_the_fields_are_all_known() -> None:
    known = {"note", "infotext", "expected", "applied", "styles_csv"}
    known |= {"forge_differs", "v1_6_0_differs", "error"}
    assert {key for case in CASES for key in case} <= known


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_read_as_a1111(case: dict[str, Any]) -> None:
    infotext = _read(case, "a1111")
    if "error" in case:
        with pytest.raises(ValueError):
            infotext.filled()
        return
    assert infotext.filled() == case["expected"]
    applied = asdict(infotext_apply.apply(infotext))
    assert applied == applied | case["applied"]


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_read_as_forge(case: dict[str, Any]) -> None:
    if "error" in case:
        return
    expected = {**case["expected"], **case["forge_differs"]}
    expected = {key: value for key, value in expected.items() if value != ABSENT}
    assert _read(case, "forge").filled() == expected


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_read_as_1_6_0(case: dict[str, Any]) -> None:
    if "error" in case:
        return
    params = _read(case, "a1111-1.6.0").filled()
    assert _changed(params, case["expected"]) == case["v1_6_0_differs"]


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_read_by_default_as_a1111_but_for_the_rules(case: dict[str, Any]) -> None:
    infotext = _read(case, "sdtui")
    excused = deviations(RULES, case["infotext"])
    if not excused:
        assert infotext.filled() == case["expected"]
    excused += deviations(infotext_apply.RULES, infotext)
    excused += deviations(infotext_apply.NAME_RULES, infotext)
    if not excused:
        assert asdict(infotext_apply.apply(infotext)) == case["applied"]


SETTINGS = {  # the defaults named in the file's source line, by A1111's names
    "prompt": "cat", "negative_prompt": "", "steps": 20, "sampler_name": "DPM++ 2M",
    "scheduler": "Automatic", "cfg_scale": 7.0, "width": 512, "height": 512, "seed": 1,
    "sd_model_name": "DosMix", "sd_model_hash": "9bd5c6ee0a", "sd_vae_name": None,
    "sd_vae_hash": None, "subseed": 0, "subseed_strength": 0, "seed_resize_from_w": 0,
    "seed_resize_from_h": 0, "batch_size": 1, "n_iter": 1, "clip_skip": 1, "restore_faces": False,
    "tiling": False, "enable_hr": False, "denoising_strength": None, "hr_scale": 2.0,
    "hr_resize_x": 0, "hr_resize_y": 0, "hr_upscaler": None, "hr_second_pass_steps": 0,
    "hr_sampler_name": None, "hr_scheduler": None, "hr_checkpoint_name": None, "hr_prompt": None,
    "hr_negative_prompt": None, "image_cfg_scale": None,
    "user": None, "_lora": None, "_ti": None, "_emph": None,
}  # fmt: skip
OPTIONS = {
    "eta_noise_seed_delta": 0, "randn_source": "GPU", "use_old_karras_scheduler_sigmas": False,
    "always_discard_next_to_last_sigma": False, "face_restoration_model": "CodeFormer",
    "token_merging_ratio": 0, "token_merging_ratio_hr": 0, "rho": 0, "sigma_min": 0,
    "sigma_max": 0, "beta_dist_alpha": 0.6, "beta_dist_beta": 0.6,
}  # fmt: skip


def _hires(s: dict[str, Any]) -> dict[str, Any]:
    if not s["enable_hr"]:
        return {}
    prompts = {
        key: s[f"hr_{key}"] if s[f"hr_{key}"] != s[key] else None
        for key in ("prompt", "negative_prompt")
    }
    return hires_pairs(
        (s["sampler_name"], s["scheduler"]),
        denoising_strength=s["denoising_strength"],
        upscaler=s["hr_upscaler"],
        scale=s["hr_scale"],
        width=s["hr_resize_x"],
        height=s["hr_resize_y"],
        steps=s["hr_second_pass_steps"],
        sampler=s["hr_sampler_name"],
        schedule=s["hr_scheduler"],
        checkpoint=s["hr_checkpoint_name"],
        **prompts,
    )


def _schedule(s: dict[str, Any], o: dict[str, Any]) -> dict[str, Any]:
    options = ScheduleOptions(
        sigma_min=o["sigma_min"] or None,
        sigma_max=o["sigma_max"] or None,
        rho=o["rho"] or None,
        old_karras_range=o["use_old_karras_scheduler_sigmas"],
        drop_second_last=o["always_discard_next_to_last_sigma"],
        beta_alpha=o["beta_dist_alpha"],
        beta_beta=o["beta_dist_beta"],
    )
    return schedules.infotext(s["scheduler"], s["sampler_name"], options)


def _written(case: dict[str, Any]) -> str:
    assert set(case["settings"]) <= set(SETTINGS), "a setting this test does not know"
    assert set(case["options"]) <= set(OPTIONS), "an option this test does not know"
    s, o, i = SETTINGS | case["settings"], OPTIONS | case["options"], case["image_index"]
    varied, sampler = s["subseed_strength"] != 0, s["sampler_name"]
    by_sigma = not SAMPLER_TRAITS[sampler].by_timesteps
    resized_from = s["seed_resize_from_w"] > 0 and s["seed_resize_from_h"] > 0
    pairs = {
        "Steps": s["steps"],
        "Sampler": sampler,
        "Schedule type": written_schedule(sampler, s["scheduler"]),
        "CFG scale": s["cfg_scale"],
        "Image CFG scale": s["image_cfg_scale"],
        "Seed": s["seed"] + (0 if varied else i),
        "Face restoration": o["face_restoration_model"] if s["restore_faces"] else None,
        "Size": f"{s['width']}x{s['height']}",
        "Model hash": s["sd_model_hash"],
        "Model": s["sd_model_name"],
        "VAE hash": s["sd_vae_hash"],
        "VAE": s["sd_vae_name"],
        "Variation seed": s["subseed"] + i if varied else None,
        "Variation seed strength": s["subseed_strength"] if varied else None,
        "Seed resize from": (
            f"{s['seed_resize_from_w']}x{s['seed_resize_from_h']}" if resized_from else None
        ),
        "Clip skip": s["clip_skip"] if s["clip_skip"] > 1 else None,
        "ENSD": written_ensd(sampler, o["eta_noise_seed_delta"]),
        "Token merging ratio": o["token_merging_ratio"] or None,
        "Token merging ratio hr": (
            (s["enable_hr"] and (o["token_merging_ratio_hr"] or o["token_merging_ratio"])) or None
        ),
        "RNG": o["randn_source"] if o["randn_source"] != "GPU" else None,
        "Tiling": "True" if s["tiling"] else None,
        **_hires(s),
        "Lora hashes": s["_lora"],
        "TI hashes": s["_ti"],
        "Emphasis": s["_emph"],
        **(_schedule(s, o) if by_sigma else {}),
        "Version": "v1.10.1",
        "User": s["user"],
    }
    return format_infotext(s["prompt"], s["negative_prompt"], ordered(pairs))


@pytest.mark.parametrize("case", TRIPS, ids=_name)
def test_written_and_read_back_as_a1111(case: dict[str, Any]) -> None:
    assert set(case) <= {
        "settings", "options", "image_index", "infotext", "parsed", "applied", "note"
    }, "a field this test does not know"  # fmt: skip
    assert _written(case) == case["infotext"]
    infotext = parse(case["infotext"], "a1111")
    assert infotext.filled() == case["parsed"]
    applied = asdict(infotext_apply.apply(infotext))
    assert applied == applied | case["applied"]


@pytest.mark.parametrize("case", TRIPS, ids=_name)
def test_a1111_texts_read_by_default_and_written_again(case: dict[str, Any]) -> None:
    infotext = parse(case["infotext"])
    if not deviations(RULES, case["infotext"]):
        assert infotext.filled() == case["parsed"]
    rejoined: dict[str, object] = {}
    for key, value in infotext.params.items():
        name, dash, part = key.rpartition("-")
        if dash and part == "1":
            rejoined[name] = f"{value}x{infotext.params[name + '-2']}"
        elif not (dash and part == "2"):
            rejoined[key] = value
    again = format_infotext(infotext.prompt, infotext.negative_prompt, ordered(rejoined))
    assert parse(again) == infotext
