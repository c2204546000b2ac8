"""Names and shapes of the tensors in original single files: CompVis' ldm, Stability's sgm, kohya.

Written down from the published architectures, independently of diffusers and of sdtui's loader, so
that what is made from them tests the loader. Widths are arguments: the real ones or tiny ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

Tensor = tuple[str, tuple[int, ...]]
VOCABULARY, POSITIONS = 49408, 77


@dataclass(frozen=True)
class Clip:
    """A text encoder."""

    width: int
    layers: int
    open_clip: bool = False


@dataclass(frozen=True)
class Layout:
    """One family's sizes."""

    channels: int
    mults: tuple[int, ...]
    depths: tuple[int, ...]
    """Transformer blocks at each level of the U-Net; 0 = no attention."""
    middle: int
    context: int
    linear: bool
    """proj_in and proj_out are linear layers, not 1x1 convolutions."""
    clips: tuple[tuple[str, Clip], ...]
    vae_channels: int = 128
    vae_mults: tuple[int, ...] = (1, 2, 4, 4)
    latents: int = 4
    inputs: int = 4
    pooled: int = 0
    """Numbers that SDXL reads beside the timestep: pooled text and 6 sizes of 256 each."""


L, G = Clip(768, 12), Clip(1280, 32, open_clip=True)
LAYOUTS = {
    "sd15": Layout(320, (1, 2, 4, 4), (1, 1, 1, 0), 1, 768, False,
                   (("cond_stage_model.transformer.", L),)),
    "sd2": Layout(320, (1, 2, 4, 4), (1, 1, 1, 0), 1, 1024, True,
                  (("cond_stage_model.model.", Clip(1024, 24, open_clip=True)),)),
    "sdxl": Layout(320, (1, 2, 4), (0, 2, 10), 10, 2048, True,
                   (("conditioner.embedders.0.transformer.", L),
                    ("conditioner.embedders.1.model.", G)), pooled=1280 + 6 * 256),
    "refiner": Layout(384, (1, 2, 4, 4), (0, 4, 4, 0), 4, 1280, True,
                      (("conditioner.embedders.0.model.", G),), pooled=1280 + 5 * 256),
}  # fmt: skip
_SMALL = Clip(64, 3)
TINY = {
    "sd15": Layout(32, (1, 1, 2, 2), (1, 1, 1, 0), 1, 64, False,
                   (("cond_stage_model.transformer.", _SMALL),), 32, (1, 1, 2, 2)),
    "sd2": Layout(32, (1, 2, 2, 2), (1, 1, 1, 0), 1, 64, True,
                  (("cond_stage_model.model.", Clip(64, 3, open_clip=True)),), 32, (1, 1, 2, 2)),
    "sdxl": Layout(32, (1, 2, 2), (0, 1, 2), 2, 160, True,
                   (("conditioner.embedders.0.transformer.", _SMALL),
                    ("conditioner.embedders.1.model.", Clip(96, 4, open_clip=True))),
                   32, (1, 1, 2, 2), pooled=96 + 6 * 256),
}  # fmt: skip


def with_inputs(layout: Layout, inputs: int) -> Layout:
    """9 for inpainting, 8 for pix2pix, 5 for depth."""
    return replace(layout, inputs=inputs)


def _both(name: str, *shape: int) -> Iterator[Tensor]:
    """Weight and bias."""
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _conv(name: str, inner: int, outer: int, kernel: int = 3) -> Iterator[Tensor]:
    yield from _both(name, outer, inner, kernel, kernel)


def _residual(name: str, inner: int, outer: int, time: int) -> Iterator[Tensor]:
    yield from _both(f"{name}.in_layers.0", inner)
    yield from _conv(f"{name}.in_layers.2", inner, outer)
    yield from _both(f"{name}.emb_layers.1", outer, time)
    yield from _both(f"{name}.out_layers.0", outer)
    yield from _conv(f"{name}.out_layers.3", outer, outer)
    if inner != outer:
        yield from _conv(f"{name}.skip_connection", inner, outer, 1)


def _transformer(name: str, width: int, depth: int, layout: Layout) -> Iterator[Tensor]:
    projection = (width, width) if layout.linear else (width, width, 1, 1)
    yield from _both(f"{name}.norm", width)
    yield from _both(f"{name}.proj_in", *projection)
    for number in range(depth):
        block = f"{name}.transformer_blocks.{number}"
        for attention, reads in (("attn1", width), ("attn2", layout.context)):
            yield f"{block}.{attention}.to_q.weight", (width, width)
            yield f"{block}.{attention}.to_k.weight", (width, reads)
            yield f"{block}.{attention}.to_v.weight", (width, reads)
            yield from _both(f"{block}.{attention}.to_out.0", width, width)
        yield from _both(f"{block}.ff.net.0.proj", 8 * width, width)
        yield from _both(f"{block}.ff.net.2", width, 4 * width)
        for norm in ("norm1", "norm2", "norm3"):
            yield from _both(f"{block}.{norm}", width)
    yield from _both(f"{name}.proj_out", *projection)


def unet(layout: Layout) -> Iterator[Tensor]:
    """The U-Net, names without prefix."""
    base, time = layout.channels, 4 * layout.channels
    yield from _both("time_embed.0", time, base)
    yield from _both("time_embed.2", time, time)
    if layout.pooled:
        yield from _both("label_emb.0.0", time, layout.pooled)
        yield from _both("label_emb.0.2", time, time)
    yield from _conv("input_blocks.0.0", layout.inputs, base)
    width, skips, number = base, [base], 1
    for level, (mult, depth) in enumerate(zip(layout.mults, layout.depths, strict=True)):
        for _ in range(2):
            yield from _residual(f"input_blocks.{number}.0", width, base * mult, time)
            width = base * mult
            if depth:
                yield from _transformer(f"input_blocks.{number}.1", width, depth, layout)
            skips.append(width)
            number += 1
        if level < len(layout.mults) - 1:
            yield from _conv(f"input_blocks.{number}.0.op", width, width)
            skips.append(width)
            number += 1
    yield from _residual("middle_block.0", width, width, time)
    yield from _transformer("middle_block.1", width, layout.middle, layout)
    yield from _residual("middle_block.2", width, width, time)
    yield from _unet_up(layout, width, skips, time)
    yield from _both("out.0", base)
    yield from _conv("out.2", base, layout.latents)


def _unet_up(layout: Layout, width: int, skips: list[int], time: int) -> Iterator[Tensor]:
    number = 0
    for level in reversed(range(len(layout.mults))):
        for turn in range(3):
            name, outer = f"output_blocks.{number}", layout.channels * layout.mults[level]
            yield from _residual(f"{name}.0", width + skips.pop(), outer, time)
            width, following = outer, 1
            if layout.depths[level]:
                yield from _transformer(f"{name}.1", width, layout.depths[level], layout)
                following = 2
            if turn == 2 and level:
                yield from _conv(f"{name}.{following}.conv", width, width)
            number += 1


def _vae_block(name: str, inner: int, outer: int) -> Iterator[Tensor]:
    yield from _both(f"{name}.norm1", inner)
    yield from _conv(f"{name}.conv1", inner, outer)
    yield from _both(f"{name}.norm2", outer)
    yield from _conv(f"{name}.conv2", outer, outer)
    if inner != outer:
        yield from _conv(f"{name}.nin_shortcut", inner, outer, 1)


def _vae_middle(name: str, width: int) -> Iterator[Tensor]:
    yield from _vae_block(f"{name}.mid.block_1", width, width)
    yield from _both(f"{name}.mid.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        yield from _conv(f"{name}.mid.attn_1.{part}", width, width, 1)
    yield from _vae_block(f"{name}.mid.block_2", width, width)


def vae(layout: Layout) -> Iterator[Tensor]:
    """The VAE, names without prefix."""
    widths = [layout.vae_channels * mult for mult in layout.vae_mults]
    last, z = len(widths) - 1, layout.latents
    yield from _conv("encoder.conv_in", 3, widths[0])
    inner = widths[0]
    for level, width in enumerate(widths):
        for block in range(2):
            yield from _vae_block(f"encoder.down.{level}.block.{block}", inner, width)
            inner = width
        if level < last:
            yield from _conv(f"encoder.down.{level}.downsample.conv", width, width)
    yield from _vae_middle("encoder", inner)
    yield from _both("encoder.norm_out", inner)
    yield from _conv("encoder.conv_out", inner, 2 * z)
    yield from _conv("decoder.conv_in", z, inner)
    yield from _vae_middle("decoder", inner)
    for level in reversed(range(len(widths))):
        for block in range(3):
            yield from _vae_block(f"decoder.up.{level}.block.{block}", inner, widths[level])
            inner = widths[level]
        if level:
            yield from _conv(f"decoder.up.{level}.upsample.conv", inner, inner)
    yield from _both("decoder.norm_out", inner)
    yield from _conv("decoder.conv_out", inner, 3)
    yield from _conv("quant_conv", 2 * z, 2 * z, 1)
    yield from _conv("post_quant_conv", z, z, 1)


def clip(size: Clip) -> Iterator[Tensor]:
    """A text encoder, names without prefix."""
    yield from _open_clip(size) if size.open_clip else _clip(size)


def _clip(size: Clip) -> Iterator[Tensor]:
    width, root = size.width, "text_model"
    yield f"{root}.embeddings.position_ids", (1, POSITIONS)
    yield f"{root}.embeddings.token_embedding.weight", (VOCABULARY, width)
    yield f"{root}.embeddings.position_embedding.weight", (POSITIONS, width)
    for number in range(size.layers):
        layer = f"{root}.encoder.layers.{number}"
        for letter in ("k", "v", "q", "out"):
            yield from _both(f"{layer}.self_attn.{letter}_proj", width, width)
        yield from _both(f"{layer}.layer_norm1", width)
        yield from _both(f"{layer}.mlp.fc1", 4 * width, width)
        yield from _both(f"{layer}.mlp.fc2", width, 4 * width)
        yield from _both(f"{layer}.layer_norm2", width)
    yield from _both(f"{root}.final_layer_norm", width)


def _open_clip(size: Clip) -> Iterator[Tensor]:
    width = size.width
    yield "positional_embedding", (POSITIONS, width)
    yield "text_projection", (width, width)
    yield "logit_scale", ()
    yield "token_embedding.weight", (VOCABULARY, width)
    for number in range(size.layers):
        layer = f"transformer.resblocks.{number}"
        yield f"{layer}.attn.in_proj_weight", (3 * width, width)
        yield f"{layer}.attn.in_proj_bias", (3 * width,)
        yield from _both(f"{layer}.attn.out_proj", width, width)
        yield from _both(f"{layer}.ln_1", width)
        yield from _both(f"{layer}.ln_2", width)
        yield from _both(f"{layer}.mlp.c_fc", 4 * width, width)
        yield from _both(f"{layer}.mlp.c_proj", width, 4 * width)
    yield from _both("ln_final", width)


def checkpoint(layout: Layout) -> Iterator[Tensor]:
    """A whole single file."""
    yield from (("model.diffusion_model." + name, shape) for name, shape in unet(layout))
    yield from (("first_stage_model." + name, shape) for name, shape in vae(layout))
    for prefix, size in layout.clips:
        yield from ((prefix + name, shape) for name, shape in clip(size))
