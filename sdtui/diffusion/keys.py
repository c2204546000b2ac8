"""Tensor names of single files, brought to the names of diffusers and transformers.

Single files keep the names of the programs that trained them: CompVis' ldm (SD 1.x), Stability's
sgm (SDXL) with CLIP under transformers' names or under OpenCLIP's. Nothing is copied here: what
changes is names, and views of the tensors (a fused q, k, v is three views of its rows).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

NOT_NEEDED = ("position_ids", "logit_scale", "attn_mask")
OPEN_CLIP = (
    ("transformer.resblocks.", "encoder.layers."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
    (".attn.out_proj.", ".self_attn.out_proj."),
    ("ln_final.", "final_layer_norm."),
)
OPEN_CLIP_ALONE = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
}


A = TypeVar("A")


def below(tensors: Mapping[str, A], prefix: str) -> dict[str, A]:
    """The entries whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: one for name, one in tensors.items() if name.startswith(prefix)}


def text_prefixes(base: str) -> tuple[tuple[str, ...], ...]:
    """For each text encoder of a family, the prefixes under which files keep it."""
    if base == "sdxl":
        return (
            ("conditioner.embedders.0.transformer.", "text_encoders.clip_l.transformer."),
            ("conditioner.embedders.1.model.", "conditioner.embedders.1.transformer.",
             "text_encoders.clip_g.transformer."),
        )  # fmt: skip
    return (("cond_stage_model.transformer.", "cond_stage_model.model.",
             "text_encoders.clip_l.transformer."),)  # fmt: skip


def text_encoder(tensors: Mapping[str, A], prefixes: Iterable[str]) -> dict[str, A]:
    """A text encoder's part of a file, under transformers' names without `text_model.`."""
    for prefix in prefixes:
        if found := below(tensors, prefix):
            return clip_names(found)
    return {}


def clip_names(tensors: Mapping[str, A]) -> dict[str, A]:
    """CLIP under either naming to transformers' names, without `text_model.` in front.

    Merges from NovelAI's files have no `text_model.`; OpenCLIP keeps q, k, v in one tensor.
    """
    found: dict[str, A] = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("transformer.text_model.").removeprefix("text_model.")
        if name.rpartition(".")[2] in NOT_NEEDED:
            continue
        if ".attn.in_proj_" in name:
            found |= _three(name, tensor)
            continue
        if name == "text_projection":
            found["text_projection.weight"] = tensor.T  # type: ignore[attr-defined]
            continue
        for old, new in OPEN_CLIP:
            name = name.replace(old, new)
        found[OPEN_CLIP_ALONE.get(name, name)] = tensor
    return found


def _three(name: str, fused: A) -> dict[str, A]:
    """OpenCLIP's in_proj (3 width, …) as the rows of q, k and v."""
    stem, _, kind = name.partition(".attn.in_proj_")
    stem = stem.replace("transformer.resblocks.", "encoder.layers.")
    width = fused.shape[0] // 3  # type: ignore[attr-defined]
    return {
        f"{stem}.self_attn.{letter}_proj.{kind}": fused[at * width : (at + 1) * width]  # type: ignore[index]
        for at, letter in enumerate("qkv")
    }


VAE_PARTS = (
    ("down_blocks.", "down."), ("resnets.", "block."), ("conv_shortcut.", "nin_shortcut."),
    ("downsamplers.0.", "downsample."), ("upsamplers.0.", "upsample."),
    ("conv_norm_out.", "norm_out."),
    ("mid_block.attentions.0.", "mid.attn_1."), ("mid_block.block.0.", "mid.block_1."),
    ("mid_block.block.1.", "mid.block_2."), ("group_norm.", "norm."), ("to_out.0.", "proj_out."),
    ("proj_attn.", "proj_out."), ("to_q.", "q."), ("to_k.", "k."), ("to_v.", "v."),
    ("query.", "q."), ("key.", "k."), ("value.", "v."),
)  # fmt: skip


def vae_names(tensors: Mapping[str, A]) -> dict[str, A]:
    """A VAE under ldm's or diffusers' names to ldm's, without prefix."""
    if not any(".mid_block." in name for name in tensors):
        return dict(tensors)
    levels = {name.split(".")[2] for name in tensors if name.startswith("decoder.up_blocks.")}
    found = {}
    for name, tensor in tensors.items():
        if match := re.match(r"decoder\.up_blocks\.(\d+)\.", name):
            level = len(levels) - 1 - int(match[1])
            name = f"decoder.up.{level}.{name[match.end() :]}"
        for theirs, ours in VAE_PARTS:
            name = name.replace(theirs, ours)
        found[name] = tensor
    return found
