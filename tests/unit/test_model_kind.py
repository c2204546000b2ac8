"""What a model file is, from its header: files of full size (hollow, so that they cost no disk)."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import pytest

from bench import make_model
from sdtui.formats.header import HeaderError, read_header
from sdtui.formats.model_kind import ModelKind, kind_of, what_is
from tests.vectors_path import load


def checkpoint(home: Path, base: str, **options: object) -> ModelKind:
    path = make_model.checkpoint(home / f"{base}.safetensors", base, hollow=True, **options)
    return what_is(path)


def header_file(path: Path, table: object, size: int | None = None) -> Path:
    text = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text) if size is None else size) + text)
    return path


@pytest.mark.parametrize(
    ("base", "said"),
    [("sd15", "SD 1.5 checkpoint"), ("sd2", "SD 2 checkpoint"), ("sdxl", "SDXL checkpoint"),
     ("refiner", "SDXL refiner checkpoint")],
)  # fmt: skip
def test_families(home: Path, base: str, said: str) -> None:
    kind = checkpoint(home, base)
    assert (kind.said, kind.base, kind.variant) == (said, base, "")


@pytest.mark.parametrize(
    ("inputs", "variant"), [(9, "inpainting"), (8, "pix2pix"), (5, "depth")]
)
def test_variants(home: Path, inputs: int, variant: str) -> None:
    assert checkpoint(home, "sd15", inputs=inputs).variant == variant


def test_missing_parts_are_said(home: Path) -> None:
    kind = checkpoint(home, "sdxl", without=("vae", "text"))
    assert kind.said == "SDXL checkpoint, without text encoder and VAE"


def test_v_prediction_of_sdxl(home: Path) -> None:
    kind = checkpoint(home, "sdxl", v_prediction=True, zero_snr=True)
    assert (kind.prediction, kind.zero_snr) == ("v_prediction", True)
    assert checkpoint(home, "sdxl").prediction == "epsilon"


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "fp32"])
@pytest.mark.parametrize("v", [True, False])
def test_v_prediction_of_sd2_is_read_off_one_tensor(home: Path, v: bool, dtype: str) -> None:
    path = home / "sd2.safetensors"
    make_model.checkpoint(path, "sd2", tiny=True, v_prediction=v, dtype=dtype)
    assert what_is(path).prediction == ("v_prediction" if v else "epsilon")


def test_modelspec_is_believed() -> None:
    shapes = {"input_blocks.0.0.weight": (320, 4, 3, 3),
              "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024)}  # fmt: skip
    assert kind_of(shapes, {"modelspec.prediction_type": "v"}).prediction == "v_prediction"
    words = {"modelspec.architecture": "stable-diffusion-v2-768-v"}
    assert kind_of(shapes, words).prediction == "v_prediction"


@pytest.mark.parametrize("base", ["sd15", "sd2", "sdxl"])
@pytest.mark.parametrize(
    ("algorithm", "said"), [("lora", "LoRA"), ("loha", "LoHa"), ("lokr", "LoKr"), ("dora", "DoRA")]
)
def test_loras(home: Path, base: str, algorithm: str, said: str) -> None:
    path = make_model.lora(home / "a.safetensors", base, algorithm=algorithm, hollow=True)
    kind = what_is(path)
    assert (kind.kind, kind.base, kind.variant) == ("lora", base, said)


def test_a_lora_with_convolutions_is_a_locon() -> None:
    shapes = {"lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight": (8, 320, 3, 3)}
    kind = kind_of(shapes, {"ss_base_model_version": "sd_v1"})
    assert (kind.variant, kind.base) == ("LoCon", "sd15")


def test_peft_names_are_loras_too() -> None:
    name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight"
    assert kind_of({name: (4, 2048)}, {}) == ModelKind("lora", "sdxl", "LoRA")


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_made_loras_have_the_names_that_kohya_gives(family: str) -> None:
    known = load(f"training/lora_keys_{family}.json")
    wanted = {one["name"] for one in known["text_encoder_modules"] + known["unet_modules_default"]}
    made = {name for name, _ in make_model._lora_targets(make_model.LAYOUTS[family], family)}
    assert made == wanted


def test_vae_embedding_and_upscaler(home: Path) -> None:
    assert what_is(make_model.vae(home / "v.safetensors", hollow=True)).kind == "vae"
    for base in ("sd15", "sd2", "sdxl"):
        kind = what_is(make_model.embedding(home / "e.safetensors", base))
        assert (kind.kind, kind.base) == ("embedding", base)
    for names in (
        ("conv_first.weight", "body.0.rdb1.conv1.weight"),
        ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"),
        ("params_ema.conv_first.weight", "params_ema.body.0.rdb1.conv1.weight"),
        ("body.0.weight", "body.0.bias", "body.1.weight"),
    ):
        assert kind_of({name: (64, 3, 3, 3) for name in names}, {}).kind == "upscaler"


@pytest.mark.parametrize(
    ("name", "base"),
    [("model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale", "Flux"),
     ("joint_blocks.0.context_block.adaLN_modulation.1.bias", "Stable Diffusion 3"),
     ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "Flux"),
     ("transformer.transformer_blocks.0.attn.to_k.lora_A.weight", "Stable Diffusion 3"),
     ("ip_adapter.1.to_k_ip.weight", "IP-Adapter"),
     ("model.diffusion_model.cap_embedder.0.weight", "Lumina or Z-Image")],
)  # fmt: skip
def test_other_families_are_named(name: str, base: str) -> None:
    kind = kind_of({name: (8, 8)}, {})
    assert (kind.kind, kind.base) == ("foreign", base)
    assert "cannot be used" in kind.said


def test_a_vae_of_16_channels_is_foreign() -> None:
    assert kind_of({"decoder.conv_in.weight": (512, 16, 3, 3)}, {}).kind == "foreign"


def test_controlnets_are_no_checkpoints() -> None:
    first = {"input_blocks.0.0.weight": (320, 4, 3, 3)}
    assert kind_of({**first, "input_hint_block.0.weight": (16, 3, 3, 3)}, {}).kind == "controlnet"
    names = {f"model.diffusion_model.{name}": shape for name, shape in first.items()}
    assert kind_of({**names, "control_model.x": (1,)}, {}).kind == "controlnet"


def test_what_is_not_known_is_called_unknown() -> None:
    assert kind_of({"wonder.weight": (3, 3), "more.bias": (3,)}, {}).said == "unknown"
    assert kind_of({}, {}).kind == "unknown"


def test_a_header_takes_milliseconds(home: Path) -> None:
    path = make_model.checkpoint(home / "a.safetensors", "sdxl", hollow=True)
    assert path.stat().st_size > 6.9e9
    started = time.process_time()
    assert what_is(path).base == "sdxl"
    assert time.process_time() - started < 0.2


def test_a_cut_off_download_is_noticed(home: Path) -> None:
    path = make_model.vae(home / "a.safetensors", tiny=True)
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(whole - 1)
    with pytest.raises(HeaderError, match=rf"incomplete: {whole - 1} of {whole} bytes"):
        read_header(path)


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "table",
    [
        [], 5, None, {"a": 1}, {"a": {}}, {"a": {**GOOD, "shape": [-2]}},
        {"a": {**GOOD, "shape": [1.5]}}, {"a": {**GOOD, "data_offsets": [8, 0]}},
        {"a": {**GOOD, "data_offsets": [0, 8, 9]}}, {"a": {**GOOD, "shape": [2, 3]}},
        {"a": {**GOOD, "shape": [1] * 17}}, {"a": {**GOOD, "shape": [1 << 70]}},
        {"a": {**GOOD, "shape": "2"}}, {"a": GOOD, "__metadata__": "words"},
    ],
)  # fmt: skip
def test_broken_headers_are_refused(home: Path, table: object) -> None:
    path = header_file(home / "a.safetensors", table)
    with path.open("ab") as file:
        file.write(b"\0" * 8)
    with pytest.raises(HeaderError, match=r"a\.safetensors has a broken header"):
        read_header(path)


@pytest.mark.parametrize(
    ("start", "words"),
    [(b"", "empty or cut off"), (b"PK\x03\x04" + b"\0" * 99, "pickle"),
     (b"<!DOCTYPE html><html></html>", "web page"), (b"version https://git-lfs", "Git LFS"),
     (b"GGUF" + b"\0" * 99, "GGUF"), (b"\xff" * 99, "not a safetensors file")],
)  # fmt: skip
def test_other_files_under_the_name_of_one(home: Path, start: bytes, words: str) -> None:
    path = home / "a.safetensors"
    path.write_bytes(start)
    with pytest.raises(HeaderError, match=words):
        read_header(path)


def test_deeply_nested_header(home: Path) -> None:
    text = b"[" * 100_000
    path = home / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(HeaderError, match="broken header"):
        read_header(path)


def test_a_header_bomb_is_refused_unread(home: Path) -> None:
    path = home / "a.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 30))
    with path.open("r+b") as file:
        file.truncate(2 << 30)
    started = time.process_time()
    with pytest.raises(HeaderError, match="1024 MB, more than any model needs"):
        read_header(path)
    assert time.process_time() - started < 0.1
