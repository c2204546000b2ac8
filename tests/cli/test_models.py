"""`sdtui models`, `sdtui trust`, `--a1111` and `--comfy` as a person uses them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch

from bench import make_model
from sdtui.library.places import find_places
from tests.program import SMALL, Program, one_sentence


def test_models_of_another_program_are_listed_with_hashes_and_draw(program: Program) -> None:
    folder = program.home.parent / "webui"
    tiny = make_model.checkpoint(
        folder / "models" / "Stable-diffusion" / "anime" / "mine.safetensors", "sd15", tiny=True
    )
    make_model.lora(folder / "models" / "Lora" / "style.safetensors", "sdxl", hollow=True)
    listed = program.json("--a1111", os.fspath(folder), "models", "--hashes")
    found = {row["name"]: row for row in listed}
    assert list(found) == ["demo", "mine", "style"]
    digest = hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert found["mine"]["autov2"] == digest[:10] and found["mine"]["is"] == "SD 1.5 checkpoint"
    assert found["style"]["is"] == "SDXL LoRA" and len(found["style"]["autov3"]) == 12
    told = program.json("generate", "a cat", *SMALL, "--set", "checkpoint=mine")
    assert f"Model hash: {digest[:10]}, Model: mine" in told["images"][0]["infotext"]


def test_a_pickle_is_asked_for_once(program: Program) -> None:
    from safetensors.torch import load_file

    source = make_model.checkpoint(program.home.parent / "a.safetensors", "sd15", tiny=True)
    path = find_places(program.home).models / "old one.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": load_file(source)}, path)
    words = ("generate", "a cat", *SMALL, "--set", "checkpoint=old one")
    said = one_sentence(program(*words, "--local"), 1)
    assert f"sdtui trust '{path}'" in said
    assert program("trust", os.fspath(path)).returncode == 0
    assert program(*words, "--local").returncode == 0


def test_wrong_folders_and_files_are_said(program: Program) -> None:
    said = one_sentence(program("--comfy", "/nothing", "models"), 2)
    assert "there is no folder /nothing" in said
    assert "there is no file" in one_sentence(program("trust", "nothing.ckpt"), 2)
    file = Path(program.home) / "config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a111: /x\n")
    said = one_sentence(program("models"), 2)
    assert "unknown key “a111”; did you mean “a1111”" in said
    said = one_sentence(program("generate", "x", *SMALL, "--local"), 2)
    assert "config.yaml" in said
