"""The configs of a single file's parts, read off the shapes of its tensors.

A single file carries no config. What shapes cannot tell (number of heads, activation, scale of
the latents) is fixed for each family and stands in FAMILIES; values of the published configs of
SD 1.5, SD 2.1 and SDXL base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Family:
    """What all models of a family share."""

    heads: int | None
    """Attention heads everywhere; None = as many as make each 64 wide."""
    latent_scale: float
    """The VAE's latents times this have about unit variance."""
    text_layers: tuple[int | None, ...]
    """At most so many layers of each text encoder are read (SD 2 reads the last but one)."""
    padding: tuple[str, ...]
    """What fills a chunk behind the prompt, for each tokenizer."""


END = "<|endoftext|>"
FAMILIES = {
    "sd15": Family(8, 0.18215, (None,), (END,)),
    "sd2": Family(None, 0.18215, (23,), ("!",)),
    "sdxl": Family(None, 0.13025, (None, None), (END, "!")),
}
HEAD_WIDTH = 64


def _count(shapes: Shapes, pattern: str) -> int:
    """One more than the largest number that `pattern`'s group matches; 0 if none does."""
    found = (re.match(pattern, name) for name in shapes)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def unet_config(shapes: Shapes, base: str) -> dict[str, Any]:
    """Config of a UNet2DConditionModel from ldm names without prefix.

    Raises KeyError, IndexError or StopIteration where the names are not those of a U-Net.
    """
    widths, depths = [], []
    layers = 0
    for block in range(1, _count(shapes, r"input_blocks\.(\d+)\.")):
        if f"input_blocks.{block}.0.op.weight" in shapes:
            continue
        level = sum(f"input_blocks.{up}.0.op.weight" in shapes for up in range(1, block))
        depth = _count(shapes, rf"input_blocks\.{block}\.1\.transformer_blocks\.(\d+)\.")
        if level == len(widths):
            widths.append(shapes[f"input_blocks.{block}.0.out_layers.3.weight"][0])
            depths.append(depth)
        layers += level == 0
    family = FAMILIES[base]
    projection = next(shape for name, shape in shapes.items() if name.endswith("1.proj_in.weight"))
    context = next(shape for name, shape in shapes.items() if name.endswith("attn2.to_k.weight"))
    config: dict[str, Any] = {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": [_down(depth) for depth in depths],
        "up_block_types": [_down(depth).replace("Down", "Up") for depth in reversed(depths)],
        # A level without attention has no depth; diffusers wants a number all the same.
        "transformer_layers_per_block": [depth or 1 for depth in depths],
        "attention_head_dim": family.heads or [max(1, width // HEAD_WIDTH) for width in widths],
        "cross_attention_dim": context[-1],
        "use_linear_projection": len(projection) == 2,
        "sample_size": 128 if base == "sdxl" else 64,
    }
    if middle := _count(shapes, r"middle_block\.1\.transformer_blocks\.(\d+)\."):
        config["transformer_layers_per_block"][-1] = depths[-1] or middle
    if "label_emb.0.0.weight" in shapes:  # size and crop of the training picture, pooled text
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": shapes["label_emb.0.0.weight"][1],
        }
    return config


def _down(depth: int) -> str:
    return "CrossAttnDownBlock2D" if depth else "DownBlock2D"


def vae_config(shapes: Shapes, base: str) -> dict[str, Any]:
    """Config of an AutoencoderKL from ldm names without prefix. Raises KeyError."""
    levels = _count(shapes, r"encoder\.down\.(\d+)\.")
    widths = [shapes[f"encoder.down.{level}.block.0.conv2.weight"][0] for level in range(levels)]
    return {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "block_out_channels": widths,
        "layers_per_block": _count(shapes, r"encoder\.down\.0\.block\.(\d+)\."),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "mid_block_add_attention": any(".mid.attn_1." in name for name in shapes),
        "scaling_factor": FAMILIES.get(base, FAMILIES["sd15"]).latent_scale,
        "sample_size": 1024 if base == "sdxl" else 512,
    }


def clip_config(shapes: Shapes, base: str, index: int) -> dict[str, Any]:
    """Config of text encoder `index` from transformers' names without `text_model.`.

    Raises KeyError.
    """
    vocabulary, width = shapes["embeddings.token_embedding.weight"]
    open_clip = base == "sd2" or index == 1
    layers = _count(shapes, r"encoder\.layers\.(\d+)\.")
    most = FAMILIES[base].text_layers[index]
    projection = shapes.get("text_projection.weight", (width,))[0]
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": shapes["encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": min(layers, most or layers),
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "max_position_embeddings": shapes["embeddings.position_embedding.weight"][0],
        "hidden_act": "gelu" if open_clip else "quick_gelu",
        "projection_dim": projection,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": 0 if open_clip else vocabulary - 1,
    }
