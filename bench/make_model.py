"""Model files with random weights in the original layouts, for tests and benches.

    python bench/make_model.py sd15 --out /tmp/models            2.1 GB, like an SD 1.5 file
    python bench/make_model.py sdxl --out /tmp/models            6.9 GB
    python bench/make_model.py sd15 --tiny --out /tmp/models     10 MB, same names, small widths
    python bench/make_model.py lora --base sdxl --out /tmp/models

The same seed gives the same bytes. The pictures that such models make are noise.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import model_layouts as layouts
from model_layouts import LAYOUTS, TINY, Layout, Tensor

CHECKPOINTS = ("sd15", "sd2", "sdxl", "refiner")
KINDS = (*CHECKPOINTS, "vae", "lora", "embedding")
TYPES = {"fp16": "F16", "bf16": "BF16", "fp32": "F32"}
POOL = 1 << 22
"""So many normal numbers are drawn; every tensor is a stretch of them, which is quick."""


class Weights:
    """Random tensors by name, the same for the same seed."""

    def __init__(self, seed: int, dtype: str, norm_bias_std: float = 0.02) -> None:
        self.seed, self.dtype, self.norm_bias_std = seed, dtype, norm_bias_std

    @cached_property
    def pool(self) -> np.ndarray:
        return np.random.default_rng(self.seed).standard_normal(POOL, dtype=np.float32)

    def type_of(self, name: str) -> str:
        return "I64" if name.endswith("position_ids") else self.dtype

    def bytes_of(self, name: str, shape: tuple[int, ...]) -> Iterable[bytes]:
        """The tensor's bytes in pieces."""
        if name.endswith("position_ids"):
            yield np.arange(math.prod(shape), dtype=np.int64).tobytes()
            return
        mean, std = self._spread(name, shape)
        at = zlib.crc32(f"{self.seed} {name}".encode()) % POOL
        left = math.prod(shape)
        while left:
            piece = self.pool[at : at + left]
            yield _as(piece * np.float32(std) + np.float32(mean), self.dtype).tobytes()
            left, at = left - len(piece), 0

    def _spread(self, name: str, shape: tuple[int, ...]) -> tuple[float, float]:
        """(mean, std): norms near 1 and 0, layers that keep the size of what goes through."""
        bare = name.removesuffix(".weight").removesuffix(".bias")
        norm = len(shape) == 1 and (
            "norm" in bare or "ln_" in bare or bare.endswith(("layers.0", "out.0", ".norm"))
        )
        if name.endswith("alpha"):
            return 4.0, 0.0
        if name.endswith("logit_scale"):
            return 4.6, 0.0
        if norm:
            return (1.0, 0.02) if name.endswith("weight") else (0.0, self.norm_bias_std)
        if len(shape) < 2:
            return 0.0, 0.01
        if "embedding" in name or name == "emb_params":
            return 0.0, 0.02
        return 0.0, round(0.7 / math.sqrt(math.prod(shape[1:])), 4) or 1e-4


def _as(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "F16":
        return values.astype(np.float16)
    if dtype == "BF16":  # the upper half of a float32
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values


WIDTHS = {"F16": 2, "BF16": 2, "F32": 4, "I64": 8}


def write(
    path: Path, tensors: Sequence[Tensor], weights: Weights,
    metadata: dict[str, str] | None = None, *, hollow: bool = False,
) -> Path:  # fmt: skip
    """Write a safetensors file; `hollow` leaves a hole of the right size instead of weights."""
    table: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, shape in tensors:
        dtype = weights.type_of(name)
        size = math.prod(shape) * WIDTHS[dtype]
        table[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        if hollow:
            file.truncate(8 + len(header) + at)
        else:
            for name, shape in tensors:
                file.writelines(weights.bytes_of(name, shape))
    return path


def checkpoint(
    path: Path, base: str, *, tiny: bool = False, dtype: str = "fp16", seed: int = 0,
    without: Sequence[str] = (), inputs: int = 4, v_prediction: bool = False,
    zero_snr: bool = False, hollow: bool = False,
) -> Path:  # fmt: skip
    """A whole single file. `without`: “vae”, “text”. `inputs`: 9 for inpainting."""
    layout = layouts.with_inputs((TINY if tiny else LAYOUTS)[base], inputs)
    tensors = list(layouts.checkpoint(layout))
    dropped = {"vae": "first_stage_model.", "text": "cond"}
    for part in without:
        tensors = [one for one in tensors if not one[0].startswith(dropped[part])]
    spread = 0.02
    if base == "sd2":
        spread = 0.2 if v_prediction else 0.02
    elif v_prediction:
        tensors.append(("v_pred", ()))
    if zero_snr:
        tensors.append(("ztsnr", ()))
    return write(path, tensors, Weights(seed, TYPES[dtype], spread), hollow=hollow)


def vae(
    path: Path, *, tiny: bool = False, dtype: str = "fp16", seed: int = 1, hollow: bool = False
) -> Path:
    """A VAE alone, as it is shared: ldm names without prefix."""
    layout = (TINY if tiny else LAYOUTS)["sd15"]
    return write(path, list(layouts.vae(layout)), Weights(seed, TYPES[dtype]), hollow=hollow)


def embedding(
    path: Path, base: str, *, vectors: int = 4, tiny: bool = False, seed: int = 2
) -> Path:
    """A textual inversion."""
    widths = [clip.width for _, clip in (TINY if tiny else LAYOUTS)[base].clips]
    names = ("emb_params",) if len(widths) == 1 else ("clip_l", "clip_g")
    tensors = [(name, (vectors, width)) for name, width in zip(names, widths, strict=True)]
    return write(path, tensors, Weights(seed, "F32"))


def lora(
    path: Path, base: str, *, algorithm: str = "lora", rank: int = 8, tiny: bool = False,
    dtype: str = "fp16", seed: int = 3, metadata: dict[str, str] | None = None,
    hollow: bool = False,
) -> Path:  # fmt: skip
    """A LoRA under kohya's names: every attention and feed-forward layer of U-Net and text."""
    layout = (TINY if tiny else LAYOUTS)[base]
    tensors: list[Tensor] = []
    for name, shape in _lora_targets(layout, base):
        tensors += _lora_tensors(name, shape, algorithm, rank)
    return write(path, tensors, Weights(seed, TYPES[dtype]), metadata, hollow=hollow)


def lora_for_folder(
    path: Path, folder: Path, *, algorithm: str = "lora", rank: int = 8, dtype: str = "fp16",
    seed: int = 3, metadata: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    """The same for the model in a diffusers folder, such as the demo model."""
    tensors: list[Tensor] = []
    parts = (
        ("unet/diffusion_pytorch_model", "lora_unet_"),
        ("text_encoder/model", "lora_te_text_model_"),
    )
    for file, prefix in parts:
        raw = (folder / f"{file}.safetensors").read_bytes()
        table = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        for name, entry in table.items():
            stem, _, kind = name.removeprefix("text_model.").rpartition(".")
            trained = any(word in stem for word in ("attn", ".ff.", ".mlp.", "proj_"))
            if kind == "weight" and trained and len(entry["shape"]) > 1:
                module = prefix + stem.replace(".", "_")
                tensors += _lora_tensors(module, tuple(entry["shape"]), algorithm, rank)
    return write(path, tensors, Weights(seed, TYPES[dtype]), metadata)


def _lora_targets(layout: Layout, base: str) -> Iterable[Tensor]:
    for name, shape in layouts.unet(layout):
        stem, _, kind = name.rpartition(".")
        if kind == "weight" and len(shape) > 1 and ".1." in name and "emb_layers" not in name:
            block = stem if base == "sdxl" else _diffusers_block(stem)
            if "proj_" in stem or "attn" in stem or ".ff." in stem:
                yield "lora_unet_" + block.replace(".", "_"), shape
    for number, (_, size) in enumerate(layout.clips, 1):
        prefix = f"lora_te{number}_" if len(layout.clips) > 1 else "lora_te_"
        for layer in range(size.layers):
            stem = f"{prefix}text_model_encoder_layers_{layer}_"
            for letter in "qkv":
                yield f"{stem}self_attn_{letter}_proj", (size.width, size.width)
            yield f"{stem}self_attn_out_proj", (size.width, size.width)
            yield f"{stem}mlp_fc1", (4 * size.width, size.width)
            yield f"{stem}mlp_fc2", (size.width, 4 * size.width)


def _diffusers_block(stem: str) -> str:
    """As kohya names SD 1.x: input_blocks.4.1 is diffusers' down_blocks.1.attentions.0."""
    kind, number, rest = stem.split(".", 2)
    inside = rest.removeprefix("1.")
    if kind == "middle_block":
        return f"mid_block.attentions.0.{stem.removeprefix('middle_block.1.')}"
    block = int(number)
    if kind == "input_blocks":
        return f"down_blocks.{(block - 1) // 3}.attentions.{(block - 1) % 3}.{inside}"
    return f"up_blocks.{block // 3}.attentions.{block % 3}.{inside}"


def _lora_tensors(name: str, shape: tuple[int, ...], algorithm: str, rank: int) -> list[Tensor]:
    outer, inner, *kernel = shape
    down, up = (rank, inner, *kernel), (outer, rank, *(1 for _ in kernel))
    alpha: Tensor = (f"{name}.alpha", ())
    if algorithm == "loha":
        pairs = [(f"{name}.hada_w{n}_{a}", (outer, rank) if a == "a" else (rank, inner))
                 for n in (1, 2) for a in "ab"]  # fmt: skip
        return [alpha, *pairs]
    if algorithm == "lokr":
        return [alpha, (f"{name}.lokr_w1", (4, 4)),
                (f"{name}.lokr_w2", (outer // 4, inner // 4, *kernel))]  # fmt: skip
    made = [alpha, (f"{name}.lora_down.weight", down), (f"{name}.lora_up.weight", up)]
    if algorithm == "dora":
        made.append((f"{name}.dora_scale", (1, inner, *(1 for _ in kernel))))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--name", help="file name without ending")
    parser.add_argument("--tiny", action="store_true", help="same names, small widths")
    parser.add_argument("--dtype", choices=TYPES, default="fp16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--base", choices=tuple(TINY), default="sd15", help="of a LoRA, embedding")
    parser.add_argument("--algorithm", choices=("lora", "loha", "lokr", "dora"), default="lora")
    parser.add_argument("--without", action="append", choices=("vae", "text"), default=[])
    parser.add_argument("--inpainting", action="store_true")
    parser.add_argument("--v-prediction", action="store_true")
    parser.add_argument("--zero-snr", action="store_true")
    asked = parser.parse_args()
    path = asked.out / f"{asked.name or asked.kind}.safetensors"
    if asked.kind in CHECKPOINTS:
        checkpoint(
            path, asked.kind, tiny=asked.tiny, dtype=asked.dtype, seed=asked.seed,
            without=asked.without, inputs=9 if asked.inpainting else 4,
            v_prediction=asked.v_prediction, zero_snr=asked.zero_snr,
        )  # fmt: skip
    elif asked.kind == "vae":
        vae(path, tiny=asked.tiny, dtype=asked.dtype, seed=asked.seed)
    elif asked.kind == "embedding":
        embedding(path, asked.base, tiny=asked.tiny, seed=asked.seed)
    else:
        lora(path, asked.base, algorithm=asked.algorithm, tiny=asked.tiny, dtype=asked.dtype,
             seed=asked.seed)  # fmt: skip
    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
