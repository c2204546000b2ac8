"""`<lora:name:0.8>` in a prompt, as a person types it, with the demo model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from bench import make_model
from sdtui import demo
from tests.program import SMALL, Program, one_sentence


@pytest.fixture(scope="module")
def shelf(shared: Program) -> Iterator[Program]:
    """A backend with LoRAs for the demo model: style, other; and some that do not fit."""
    folder = shared.home / "models" / "Lora"
    style = make_model.lora_for_folder(folder / "style.safetensors", demo.model_dir(), seed=1)
    make_model.lora_for_folder(
        folder / "sub" / "other.safetensors", demo.model_dir(), seed=2, algorithm="loha",
        metadata={"ss_output_name": "trained", "sshs_model_hash": "ab" * 32},
    )  # fmt: skip
    make_model.lora(folder / "xl.safetensors", "sdxl", hollow=True)
    tensors = load_file(style)
    renamed = {key.replace("mid_block", "no_block"): one for key, one in tensors.items()}
    save_file(renamed, folder / "partly.safetensors")
    save_file({f"x_{key}": one for key, one in tensors.items()}, folder / "none.safetensors")
    yield shared


def made(program: Program, prompt: str, *words: str) -> tuple[bytes, str]:
    """The pixels and the infotext of a picture with a seed that is always the same."""
    told = program.json("generate", prompt, *SMALL, "--set", "seed=11", *words)
    (image,) = told["images"]
    with Image.open(image["path"]) as opened:
        return opened.convert("RGB").tobytes(), image["infotext"]


def test_on_and_off_leave_no_trace(shelf: Program) -> None:
    plain, text = made(shelf, "1girl")
    assert "Lora hashes" not in text
    with_it, text = made(shelf, "<lora:style:0.8> 1girl")
    assert with_it != plain
    assert made(shelf, "1girl")[0] == plain
    assert made(shelf, "1girl <lora:style:0.8>")[0] == with_it
    assert made(shelf, "<lora:style:0> 1girl")[0] == plain
    two = made(shelf, "<lora:style:0.8><lora:other:0.5>1girl")[0]
    assert two not in (plain, with_it)
    assert made(shelf, "<lora:other:0.5>1girl<lora:style:0.8>")[0] == two
    assert made(shelf, "1girl", "--set", "checkpoint=demo")[0] == plain


def test_text_encoder_and_unet_alone(shelf: Program) -> None:
    pictures = {made(shelf, prompt)[0] for prompt in (
        "1girl", "<lora:style:0.8>1girl", "<lora:style:0.8:0>1girl", "<lora:style:0:0.8>1girl",
        "<lora:style:-0.8>1girl",
    )}  # fmt: skip
    assert len(pictures) == 5


def test_the_settings_name_its_hash_and_every_spelling_means_it(shelf: Program) -> None:
    prompt = "<lora:trained:0.5> 1girl <lora:style:0.25>"
    picture, text = made(shelf, prompt)
    assert text.splitlines()[0] == prompt
    assert 'Lora hashes: "trained: abababababab, style: ' in text
    for spelling in ("other", "sub/other", "ababababab", "OTHER"):
        assert made(shelf, prompt.replace("trained", spelling))[0] == picture, spelling


def test_what_stops_the_job_is_one_sentence(shelf: Program) -> None:
    for prompt, said in (
        ("<lora:stile:0.8> 1girl", "There is no LoRA “stile”; did you mean “style”?"),
        ("<lora:xl:1> 1girl", "The LoRA “xl” is made for SDXL, but “demo” is a demo model"),
        ("<lora:none:1> 1girl", "The LoRA “none” fits nothing in “demo”"),
        ("<lora:style:much> 1girl", "<lora:style:much> needs a number for its weight"),
    ):
        assert said in one_sentence(shelf("generate", prompt, *SMALL), 2)
    assert made(shelf, "1girl")[0] == made(shelf, "1girl <lora:style:0>")[0]


def test_what_fits_in_part_is_told_and_drawn(shelf: Program) -> None:
    done = shelf("generate", "<lora:partly:0.8> 1girl", *SMALL)
    assert done.returncode == 0 and Path(done.stdout.strip()).is_file()
    assert "LoRA partly: " in done.stderr and "modules fit this model" in done.stderr
    assert "lora_unet_no_block" in done.stderr


def test_without_a_backend_it_is_the_same_picture(shelf: Program, program: Program) -> None:
    folder = program.home / "models" / "loras"
    make_model.lora_for_folder(folder / "style.safetensors", demo.model_dir(), seed=1)
    prompt = "<lora:style:0.8> 1girl"
    alone = made(program, prompt, "--local")
    assert alone == made(shelf, prompt)
    assert alone[0] != made(shelf, "1girl")[0]
