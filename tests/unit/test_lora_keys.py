"""Key names of LoRA files against the modules of real U-Nets and text encoders."""

from __future__ import annotations

import pytest

from sdtui.formats.lora_keys import UNET, Modules, peft_scale, sort_keys
from tests.vectors_path import load


def of_family(base: str) -> tuple[dict, Modules]:
    """A family's vectors, and the modules of its model."""
    vectors = load(f"training/lora_keys_{base}.json")
    text = vectors["transformers5_module_of_te_name"]
    encoders = [
        [path for name, path in text.items() if name.startswith(prefix)]
        for prefix in (("lora_te_", "lora_te1_"), "lora_te2_")
    ]
    unet = vectors["diffusers_module_of_unet_name"].values()
    return vectors, Modules(unet, encoders if base == "sdxl" else encoders[:1])


@pytest.mark.vectors
@pytest.mark.parametrize("base", ["sd15", "sdxl"])
def test_every_name_that_kohya_writes_is_found(base: str) -> None:
    vectors, modules = of_family(base)
    for name, path in vectors["diffusers_module_of_unet_name"].items():
        assert modules.find(name) == (UNET, path)
    for name, path in vectors["transformers5_module_of_te_name"].items():
        assert modules.find(name) == (1 if name.startswith("lora_te2_") else 0, path)


@pytest.mark.vectors
@pytest.mark.parametrize("base", ["sd15", "sdxl"])
def test_names_in_other_spellings_mean_the_same_module(base: str) -> None:
    vectors, modules = of_family(base)
    for path in vectors["diffusers_module_of_unet_name"].values():
        flat = path.replace(".", "_")
        for name in (f"unet.{path}", f"lora_unet_{flat}", f"lycoris_{flat}", path,
                     f"base_model.model.{path}", f"unet.base_model.model.{path}"):  # fmt: skip
            assert modules.find(name) == (UNET, path), name
    for name, path in vectors["transformers5_module_of_te_name"].items():
        number = 1 if name.startswith("lora_te2_") else 0
        bare = path.removeprefix("text_model.")
        encoder = "text_encoder_2" if number else "text_encoder"
        for other in (f"{encoder}.text_model.{bare}", f"{encoder}.{bare}"):
            assert modules.find(other) == (number, path), other


@pytest.mark.vectors
def test_sd15_may_come_in_stabilitys_names() -> None:
    _, modules = of_family("sd15")
    for name, path in {
        "input_blocks_4_1_transformer_blocks_0_attn1_to_q":
            "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
        "output_blocks_2_1_conv": "up_blocks.0.upsamplers.0.conv",
        "output_blocks_5_2_conv": "up_blocks.1.upsamplers.0.conv",
        "output_blocks_11_1_proj_out": "up_blocks.3.attentions.2.proj_out",
        "middle_block_1_proj_in": "mid_block.attentions.0.proj_in",
        "middle_block_2_out_layers_3": "mid_block.resnets.1.conv2",
    }.items():  # fmt: skip
        assert modules.find(f"lora_unet_{name}") == (UNET, path)
        dotted = name.replace("_blocks_", "_blocks.").replace("middle_block_", "middle_block.")
        assert modules.find(f"diffusion_model.{dotted}") == (UNET, path)


def test_what_the_model_lacks_is_not_found() -> None:
    modules = Modules(["mid_block.attentions.0.proj_in"], [["encoder.layers.0.mlp.fc1"]])
    for name in ("lora_unet_mid_block_attentions_0_proj_out", "lora_te2_text_model_encoder_x",
                 "lora_te_text_model_encoder_layers_9_mlp_fc1", "transformer.double_blocks.0",
                 "lora_unet_", ""):  # fmt: skip
        assert modules.find(name) is None
    assert modules.find("lycoris_text_model_encoder_layers_0_mlp_fc1") == (
        0, "encoder.layers.0.mlp.fc1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "module", "parameter"),
    [
        ("lora_unet_a_b.lora_down.weight", "lora_unet_a_b", "down"),
        ("lora_unet_a_b.lora_mid.weight", "lora_unet_a_b", "mid"),
        ("lora_unet_a_b.alpha", "lora_unet_a_b", "alpha"),
        ("lora_unet_a_b.dora_scale", "lora_unet_a_b", "dora_scale"),
        ("lora_unet_a_b.hada_t2", "lora_unet_a_b", "hada_t2"),
        ("lora_unet_a_b.lokr_w2_b", "lora_unet_a_b", "lokr_w2_b"),
        ("lycoris_a_b.w_norm", "lycoris_a_b", "diff"),
        ("lycoris_a_b.b_norm", "lycoris_a_b", "diff_b"),
        ("lora_unet_a_b.diff_b", "lora_unet_a_b", "diff_b"),
        ("unet.a.to_q.lora_A.weight", "unet.a.to_q", "down"),
        ("unet.a.to_q.lora_B.default.weight", "unet.a.to_q", "up"),
        ("unet.a.to_q.lora_magnitude_vector", "unet.a.to_q", "magnitude"),
        ("unet.a.to_q.lora.up.weight", "unet.a.to_q", "up"),
        ("unet.a.attn1.processor.to_out_lora.up.weight", "unet.a.attn1.to_out.0", "up"),
        ("text_encoder.a.q_proj.lora_linear_layer.down.weight", "text_encoder.a.q_proj", "down"),
    ],
)
def test_parameters(key: str, module: str, parameter: str) -> None:
    assert sort_keys([key]).modules == {module: {parameter: key}}


def test_embeddings_in_the_file_and_what_nobody_knows() -> None:
    keys = sort_keys([
        "bundle_emb.maid.string_to_param.*", "bundle_emb.hat.clip_l", "bundle_emb.hat.clip_g",
        "lora_unet_a.on_input", "lora_unet_a.oft_blocks", "odd", ".alpha", "",
    ])  # fmt: skip
    assert keys.embeddings == {
        "maid": {"*": "bundle_emb.maid.string_to_param.*"},
        "hat": {"clip_l": "bundle_emb.hat.clip_l", "clip_g": "bundle_emb.hat.clip_g"},
    }
    assert keys.modules == {}
    assert keys.unknown == ("lora_unet_a.on_input", "lora_unet_a.oft_blocks", "odd", ".alpha", "")


def test_pefts_own_settings_give_the_scale_where_no_alpha_does() -> None:
    adapter = {
        "unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_q": 2, "(bad": 5},
        "text_encoder.lora_alpha": 6, "text_encoder.use_rslora": True,
    }  # fmt: skip
    assert peft_scale(adapter, "unet.a.attn1.to_k", 16) == 0.5
    assert peft_scale(adapter, "unet.a.attn1.to_q", 16) == 0.125
    assert peft_scale(adapter, "text_encoder.a.q_proj", 4) == 3
    assert peft_scale(adapter, "text_encoder_2.a.q_proj", 4) == 1
    assert peft_scale({"unet.lora_alpha": "many"}, "unet.a", 4) == 1
