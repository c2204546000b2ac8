"""Loading: single files of every family, tiny but in the original layout, against diffusers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench import make_model
from sdtui.diffusion.load import LoadError, Model, load_model
from sdtui.diffusion.mapped import mapped_tensors
from sdtui.diffusion.noise_table import LAST_ALPHA
from sdtui.formats.tensor_names import UNET, VAE

CPU = torch.device("cpu")
BASES = ("sd15", "sd2", "sdxl")
SCHEDULE = {"_class_name": "DDPMScheduler", "beta_schedule": "scaled_linear",
            "beta_start": 0.00085, "beta_end": 0.012}  # fmt: skip


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Tiny checkpoints by base; each is written once."""
    folder = tmp_path_factory.mktemp("models")

    def file(base: str) -> Path:
        path = folder / f"{base}.safetensors"
        return path if path.exists() else make_model.checkpoint(path, base, tiny=True)

    return file


def loaded(path: Path, **options: object) -> Model:
    return load_model(path.stem, path, "unknown", CPU, lambda part: None, **options)


def changed(path: Path, target: Path, change: Callable[[str], str | None]) -> Path:
    """The file with other names; None drops a tensor."""
    tensors = {change(name): tensor for name, tensor in load_file(path).items()}
    tensors.pop(None, None)
    save_file(tensors, target)
    return target


def as_folder(model: Model, folder: Path) -> Path:
    """A diffusers folder of the model's parts, written by the libraries themselves."""
    model.unet.save_pretrained(folder / "unet")
    model.vae.save_pretrained(folder / "vae")
    for number, (encoder, tokenizer) in enumerate(
        zip(model.text_encoders, model.tokenizers, strict=True), 1
    ):
        suffix = "" if number == 1 else f"_{number}"
        encoder.save_pretrained(folder / f"text_encoder{suffix}")
        tokenizer.save_pretrained(folder / f"tokenizer{suffix}")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULE))
    return folder


def assert_same(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    first, second = ours.state_dict(), theirs.state_dict()
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("base", BASES)
def test_a_single_file_gives_what_diffusers_converts_it_to(
    files: Callable[[str], Path], tmp_path: Path, base: str
) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm

    model = loaded(files(base))
    assert model.family == base
    folder = as_folder(model, tmp_path / "folder")
    for ours, kind, part in (
        (model.unet, UNet2DConditionModel, "unet"), (model.vae, AutoencoderKL, "vae")
    ):  # fmt: skip
        theirs = kind.from_single_file(
            str(files(base)), config=str(folder), subfolder=part, torch_dtype=torch.float32,
            local_files_only=True,
        )  # fmt: skip
        assert_same(ours, theirs)
    for number, encoder in enumerate(model.text_encoders, 1):
        part = "text_encoder" if number == 1 else f"text_encoder_{number}"
        theirs = create_diffusers_clip_model_from_ldm(
            type(encoder), load_file(files(base)), subfolder=part, config=str(folder),
            torch_dtype=torch.float32, local_files_only=True,
        )  # fmt: skip
        assert_same(encoder, theirs)


@pytest.mark.parametrize("base", BASES)
def test_a_diffusers_folder_gives_the_same_model(
    files: Callable[[str], Path], tmp_path: Path, base: str
) -> None:
    model = loaded(files(base))
    again = loaded(as_folder(model, tmp_path / "folder"))
    assert_same(model.unet, again.unet)
    assert_same(model.vae, again.vae)
    for ours, theirs in zip(model.text_encoders, again.text_encoders, strict=True):
        assert_same(ours, theirs)
    words = "a cat, it's 1920, ünïcode 🙂"
    for ours, theirs in zip(model.tokenizers, again.tokenizers, strict=True):
        assert ours(words).input_ids == theirs(words).input_ids
        assert ours.pad_token_id == theirs.pad_token_id
    assert torch.equal(model.table.sigmas, again.table.sigmas)


def test_a_folder_of_fp16_variants_loads(files: Callable[[str], Path], tmp_path: Path) -> None:
    model = loaded(files("sdxl"))
    folder = as_folder(model, tmp_path / "folder")
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        for file in (folder / part).glob("*.safetensors"):
            file.rename(file.with_suffix(".fp16.safetensors"))
    assert_same(loaded(folder).text_encoders[1], model.text_encoders[1])
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(LoadError, match=r"folder/vae cannot be read"):
        loaded(folder)
    assert_same(loaded(folder, vae=files("sdxl")).vae, model.vae)


def test_the_config_is_that_of_the_real_models(tmp_path: Path) -> None:
    """Of full-size files, from their shapes alone (hollow files: no weights on the disk)."""
    from sdtui.diffusion import configs, keys
    from sdtui.formats.header import read_header

    wanted = {
        "sd15": {"block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768,
                 "attention_head_dim": 8, "use_linear_projection": False, "layers_per_block": 2,
                 "transformer_layers_per_block": [1, 1, 1, 1]},
        "sd2": {"attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024,
                "use_linear_projection": True},
        "sdxl": {"block_out_channels": [320, 640, 1280], "attention_head_dim": [5, 10, 20],
                 "transformer_layers_per_block": [1, 2, 10], "cross_attention_dim": 2048,
                 "projection_class_embeddings_input_dim": 2816, "addition_time_embed_dim": 256,
                 "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D",
                                      "CrossAttnDownBlock2D"]},
    }  # fmt: skip
    for base, values in wanted.items():
        path = make_model.checkpoint(tmp_path / "a.safetensors", base, hollow=True)
        shapes = read_header(path).shapes
        config = configs.unet_config(keys.below(shapes, UNET), base)
        assert {key: config[key] for key in values} == values
        vae = configs.vae_config(keys.below(shapes, VAE), base)
        assert vae["block_out_channels"] == [128, 256, 512, 512]
        assert vae["scaling_factor"] == (0.13025 if base == "sdxl" else 0.18215)


def test_merges_with_novelais_names_load(files: Callable[[str], Path], tmp_path: Path) -> None:
    path = changed(files("sd15"), tmp_path / "nai.safetensors", lambda name: name.replace(
        "cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."))  # fmt: skip
    assert_same(loaded(path).text_encoder, loaded(files("sd15")).text_encoder)


def test_names_that_other_tools_leave_behind(files: Callable[[str], Path], tmp_path: Path) -> None:
    path = changed(files("sd15"), tmp_path / "odd.safetensors", lambda name: "state_dict." + (
        name.replace("model.diffusion_model.", "model.diffusion_model._orig_mod.")))  # fmt: skip
    model, plain = loaded(path), loaded(files("sd15"))
    assert_same(model.unet, plain.unet)
    assert_same(model.vae, plain.vae)


def test_junk_and_averaged_weights_do_not_disturb(
    files: Callable[[str], Path], tmp_path: Path
) -> None:
    tensors = load_file(files("sd15"))
    ids = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    tensors |= {"model_ema.input_blocks": torch.zeros(3), "junk": torch.ones(1), ids: torch.ones(9)}
    save_file(tensors, tmp_path / "a.safetensors")
    assert_same(loaded(tmp_path / "a.safetensors").text_encoder, loaded(files("sd15")).text_encoder)


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_every_precision_is_read(tmp_path: Path, dtype: str) -> None:
    path = make_model.checkpoint(tmp_path / "a.safetensors", "sd15", tiny=True, dtype=dtype)
    model = loaded(path)
    assert {tensor.dtype for tensor in model.unet.state_dict().values()} == {torch.float32}
    assert torch.isfinite(model.unet.conv_in.weight).all()


@pytest.mark.parametrize("base", BASES)
def test_tensors_of_the_wanted_dtype_stay_in_the_file(
    files: Callable[[str], Path], base: str
) -> None:
    model = loaded(files(base), dtype=torch.float16)
    ranges = [
        [int(end, 16) for end in line.split()[0].split("-")]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(os.fspath(files(base)))
    ]
    modules = [model.unet, *model.text_encoders, *([] if base == "sdxl" else [model.vae])]
    for module in modules:
        for name, tensor in module.state_dict().items():
            inside = any(begin <= tensor.data_ptr() < end for begin, end in ranges)
            assert inside, f"{name} was copied"


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_mapped_tensors_are_what_safetensors_reads(tmp_path: Path, padding: int) -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = {
        f"{dtype}": torch.randn(3, 5, generator=generator).to(dtype)
        for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.float8_e5m2)
    } | {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4), "bool": torch.tensor([True])}
    path = tmp_path / "a.safetensors"
    save_file(wanted, path)
    data = path.read_bytes()  # a header of odd length puts every tensor at an odd place
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length] + b" " * padding
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    read = mapped_tensors(path)
    assert read.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert read[name].dtype == tensor.dtype and read[name].shape == tensor.shape
        assert torch.equal(read[name].double(), tensor.double()), name


def test_writing_to_a_mapped_tensor_does_not_reach_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(4)}, path)
    mapped_tensors(path)["x"] += 1
    assert torch.equal(load_file(path)["x"], torch.zeros(4))


def test_sdxls_vae_is_in_full_precision_and_others_are_not(files: Callable[[str], Path]) -> None:
    assert loaded(files("sdxl"), dtype=torch.float16).vae.dtype == torch.float32
    assert loaded(files("sd15"), dtype=torch.float16).vae.dtype == torch.float16


def test_a_missing_vae_is_named_and_can_be_chosen(
    files: Callable[[str], Path], tmp_path: Path
) -> None:
    path = make_model.checkpoint(tmp_path / "bare.safetensors", "sd15", tiny=True, without=("vae",))
    with pytest.raises(LoadError, match=r"bare\.safetensors has no VAE; choose one with vae="):
        loaded(path)
    vae = make_model.vae(tmp_path / "vae.safetensors", tiny=True)
    model = loaded(path, vae=vae)
    assert torch.equal(
        model.vae.decoder.conv_in.weight, load_file(vae)["decoder.conv_in.weight"].float()
    )
    assert_same(loaded(path, vae=files("sd15")).vae, loaded(files("sd15")).vae)


def test_a_vae_under_diffusers_names(files: Callable[[str], Path], tmp_path: Path) -> None:
    model = loaded(files("sd15"))
    model.vae.save_pretrained(tmp_path / "vae")
    file = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    assert_same(loaded(files("sd2"), vae=file).vae, model.vae)


def test_a_missing_text_encoder_is_named_and_can_be_chosen(
    files: Callable[[str], Path], tmp_path: Path
) -> None:
    for base, word in (("sd15", "text encoder"), ("sdxl", "CLIP-L text encoder")):
        path = tmp_path / f"{base}.safetensors"
        make_model.checkpoint(path, base, tiny=True, without=("text",))
        # Without text encoders a tiny file has nothing that tells its family.
        kind = _kind_of(files(base))
        with pytest.raises(LoadError, match=f"has no {word}; choose one with text_encoder="):
            loaded(path, kind=kind)
        model = loaded(path, kind=kind, text=files(base))
        for ours, theirs in zip(
            model.text_encoders, loaded(files(base)).text_encoders, strict=True
        ):
            assert_same(ours, theirs)


def _kind_of(path: Path):
    from sdtui.formats.model_kind import what_is

    return what_is(path)


def test_a_part_with_missing_tensors_is_named(files: Callable[[str], Path], tmp_path: Path) -> None:
    path = changed(files("sd15"), tmp_path / "a.safetensors",
                   lambda name: None if "output_blocks.3.1." in name else name)  # fmt: skip
    with pytest.raises(LoadError, match=r"the U-Net in a\.safetensors is incomplete: \d+ tensors"):
        loaded(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [(lambda path: make_model.lora(path, "sdxl", hollow=True), "not a checkpoint: SDXL LoRA"),
     (lambda path: make_model.vae(path, tiny=True), "not a checkpoint: VAE"),
     (lambda path: make_model.checkpoint(path, "refiner", hollow=True), "SDXL refiner"),
     (lambda path: path.write_bytes(b"<html>no</html>"), "web page"),
     (lambda path: save_file({"double_blocks.0.img_attn.x": torch.zeros(1)}, path), "Flux")],
)  # fmt: skip
def test_what_cannot_draw_says_what_it_is(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "a.safetensors")
    with pytest.raises(LoadError, match=words):
        loaded(tmp_path / "a.safetensors")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="is not there any more"):
        loaded(tmp_path / "a.safetensors")


def test_loading_can_be_cancelled_between_parts(files: Callable[[str], Path]) -> None:
    class Cancelled(Exception):
        pass

    told: list[str] = []

    def tell(part: str) -> None:
        told.append(part)
        if part == "U-Net":
            raise Cancelled

    with pytest.raises(Cancelled):
        load_model("a", files("sdxl"), "", CPU, tell)
    assert told == ["tokenizer", "CLIP-L text encoder", "OpenCLIP-G text encoder", "U-Net"]


def test_prediction_and_zero_terminal_snr(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    make_model.checkpoint(path, "sdxl", tiny=True, v_prediction=True, zero_snr=True)
    model = loaded(path)
    assert model.prediction_type == "v_prediction"
    assert float(model.table.alphas_cumprod[-1]) == pytest.approx(LAST_ALPHA)
    plain = loaded(make_model.checkpoint(path, "sdxl", tiny=True))
    assert (plain.prediction_type, float(plain.table.sigma_max)) == (
        "epsilon", pytest.approx(14.6146, abs=1e-4),
    )  # fmt: skip
    assert float(model.table.alphas_cumprod[0]) == pytest.approx(
        float(plain.table.alphas_cumprod[0])
    )


def test_stamps_tell_overwriting_from_deleting(tmp_path: Path) -> None:
    path = make_model.checkpoint(tmp_path / "a.safetensors", "sd15", tiny=True)
    (stamp,) = loaded(path).stamps
    assert stamp.same
    os.utime(path, ns=(1, 1))
    assert not stamp.same and not stamp.gone
    path.unlink()
    assert stamp.gone
