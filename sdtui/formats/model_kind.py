"""What a model file is, judged by names and shapes of its tensors alone. Milliseconds, no torch.

What is not recognised is called unknown; families that cannot draw here are named. Nothing is
guessed from the file's name. Key names: CompVis' ldm, Stability's sgm, kohya's LoRAs, LyCORIS.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import pickled
from .header import Header, read_header
from .lora_kind import lora_kind
from .tensor_names import UNET, VAE, unwrapped

Shapes = Mapping[str, tuple[int, ...]]

FIRST_CONVS = (f"{UNET}input_blocks.0.0.weight", "input_blocks.0.0.weight")
CONTEXT = re.compile(r"(input_blocks|down_blocks)\..*attn2\.to_k\.weight$")
BASES = {768: "sd15", 1024: "sd2", 2048: "sdxl", 1280: "refiner"}
"""By the width of the text that the cross-attention reads."""
BASE_WORDS = {
    "sd15": "SD 1.5", "sd2": "SD 2", "sdxl": "SDXL", "refiner": "SDXL refiner", "demo": "demo",
}  # fmt: skip
VARIANTS = {9: "inpainting", 8: "pix2pix", 5: "depth"}
"""By the channels that the U-Net reads: 4 of the picture, the others of what guides it."""
FOREIGN = (
    ("Flux", r"double_blocks\.\d+\.img_attn\.|single_transformer_blocks\."),
    ("Stable Diffusion 3", r"joint_blocks\.\d+\."),
    ("Stable Cascade", r"clip_txt_mapper\.|down_blocks\.\d+\.\d+\.channelwise\."),
    ("AuraFlow", r"double_layers\.\d+\.attn\.w1q"),
    ("Lumina or Z-Image", r"cap_embedder\.0\.weight|(^|\.)layers\.0\.adaLN_modulation\."),
    ("PixArt", r"(^|\.)blocks\.0\.cross_attn\.(kv_linear|q_linear)"),
    ("Wan video", r"(^|\.)head\.modulation$|blocks\.0\.cross_attn\.norm_k"),
    ("Hunyuan", r"txt_in\.individual_token_refiner|mlp_t5\.0\."),
    ("LTX video", r"(^|\.)patchify_proj\.weight$"),
    ("Qwen image", r"transformer_blocks\.0\.img_mod\."),
    ("AnimateDiff motion module", r"\.motion_modules\.\d+\.temporal_transformer\."),
    ("IP-Adapter", r"^(ip_adapter|image_proj)\."),
)
FOREIGN_KEYS = tuple((name, re.compile(pattern, re.M)) for name, pattern in FOREIGN)
"""Looked for in all names at once, one a line."""
V_TENSOR, V_STD = "output_blocks.11.1.transformer_blocks.0.norm1.bias", 0.09
"""SD 2's last norm: its bias spreads wider than this in the v-prediction models (a rule that
ComfyUI and Forge rely on)."""


@dataclass(frozen=True, slots=True)
class ModelKind:
    """What a model file is. `said` puts it in words."""

    kind: str
    """checkpoint, lora, vae, text encoder, embedding, upscaler, controlnet, preview decoder,
    foreign (of a family that cannot be used here) or unknown."""
    base: str = ""
    """sd15, sd2, sdxl, refiner; the family's name when foreign; “” when nothing tells."""
    variant: str = ""
    """inpainting, pix2pix, depth; of LoRAs the algorithm: LoRA, LoCon, LoHa, LoKr, DoRA …"""
    prediction: str = ""
    """epsilon or v_prediction, for checkpoints."""
    zero_snr: bool = False
    """Trained down to pure noise (zero terminal SNR)."""
    parts: frozenset[str] = field(default_factory=frozenset)
    """Of a checkpoint: unet, text encoder, vae."""
    pickle: bool = False
    """A format that can carry programs; it is read without running any."""

    @property
    def said(self) -> str:
        """“SDXL checkpoint, v-prediction, without VAE”."""
        base = BASE_WORDS.get(self.base, self.base)
        if self.kind == "foreign":
            return f"{base} (cannot be used here)"
        if self.kind == "lora":
            words = [f"{base} {self.variant}".strip()]
        else:
            words = [f"{base} {self.kind}".strip().replace("vae", "VAE"), self.variant]
        if self.prediction == "v_prediction":
            words.append("v-prediction")
        if self.zero_snr:
            words.append("zero-terminal SNR")
        if self.kind == "checkpoint":
            lacking = [part for part in ("text encoder", "vae") if part not in self.parts]
            if lacking:
                words.append("without " + " and ".join(lacking).replace("vae", "VAE"))
        if self.pickle:
            words.append("pickle")
        return ", ".join(word for word in words if word)


UNKNOWN = ModelKind("unknown")


def what_is(path: Path) -> ModelKind:
    """The kind of a safetensors file or torch pickle. Raises HeaderError, OSError."""
    if path.suffix.lower() in pickled.SUFFIXES:
        shapes = pickled.pickled_shapes(path)
        plain = {name: shapes[old] for name, old in unwrapped(shapes).items()}
        return replace(kind_of(plain, {}), pickle=True)
    header = read_header(path)
    names = unwrapped(header.shapes)
    shapes = {plain: header.shapes[name] for plain, name in names.items()}
    found = kind_of(shapes, header.metadata)
    if found.kind == "checkpoint" and found.base == "sd2" and not found.prediction:
        v = _sd2_predicts_v(path, header)
        found = replace(found, prediction="v_prediction" if v else "epsilon")
    return found


def kind_of(shapes: Shapes, metadata: Mapping[str, str]) -> ModelKind:
    """The kind of a file with these tensors. SD 2's prediction stays open (`what_is` looks)."""
    whole = next((key for key in FIRST_CONVS if key in shapes), None)
    if whole is None and (lora := lora_kind(shapes, metadata)):
        base, algorithm = lora
        foreign = base and base not in BASE_WORDS
        return ModelKind("foreign" if foreign else "lora", base, algorithm)
    if _has(shapes, "control_model.", "controlnet_cond_embedding.", "input_hint_block.", "lllite_"):
        return ModelKind("controlnet", _base(shapes))
    if whole:
        return _checkpoint(shapes, metadata, whole)
    names = "\n".join(shapes)
    for name, pattern in FOREIGN_KEYS:
        if pattern.search(names):
            return ModelKind("foreign", name)
    if "conv_in.weight" in shapes and _has(shapes, "down_blocks."):
        return _checkpoint(shapes, metadata, "conv_in.weight")
    return _small(shapes)


def _has(shapes: Iterable[str], *starts: str) -> bool:
    return any(key.startswith(starts) for key in shapes)


def _base(shapes: Shapes) -> str:
    """By the width of the context, else by the text encoders in the file; “” if neither tells."""
    width = next((shapes[key][-1] for key in shapes if CONTEXT.search(key) and shapes[key]), 0)
    if width in BASES:
        return BASES[width]
    if _has(shapes, "conditioner.embedders.1."):
        return "sdxl"
    if _has(shapes, "conditioner.embedders.0.model."):
        return "refiner"
    if _has(shapes, "cond_stage_model.model."):
        return "sd2"
    return "sd15" if _has(shapes, "cond_stage_model.transformer.") else ""


def _checkpoint(shapes: Shapes, metadata: Mapping[str, str], first: str) -> ModelKind:
    if "edm_mean" in shapes:
        return ModelKind("foreign", "Playground 2.5")
    if any(".time_stack." in key for key in shapes):
        return ModelKind("foreign", "Stable Video Diffusion")
    base = _base(shapes)
    channels = shapes[first][1] if len(shapes[first]) == 4 else 0
    if not base or channels not in (4, *VARIANTS):
        return UNKNOWN
    parts = {"unet"}
    if _has(shapes, "cond_stage_model.", "conditioner."):
        parts.add("text encoder")
    if _has(shapes, VAE, "vae."):
        parts.add("vae")
    told = _told_prediction(shapes, metadata)
    zero_snr = "ztsnr" in shapes or "zsnr" in metadata.get("modelspec.architecture", "").lower()
    prediction = told or ("" if base == "sd2" else "epsilon")
    variant = VARIANTS.get(channels, "")
    if base == "sd2" and variant:
        prediction = prediction or "epsilon"  # SD 2's inpainting and depth models predict noise
    return ModelKind("checkpoint", base, variant, prediction, zero_snr, frozenset(parts))


def _told_prediction(shapes: Shapes, metadata: Mapping[str, str]) -> str:
    """What the file itself says: marker tensors (SDXL merges) or modelspec's words."""
    if "v_pred" in shapes:
        return "v_prediction"
    said = metadata.get("modelspec.prediction_type", "").lower()
    if said.startswith("v"):
        return "v_prediction"
    if said.startswith("eps"):
        return "epsilon"
    return "v_prediction" if "-768-v" in metadata.get("modelspec.architecture", "") else ""


def _sd2_predicts_v(path: Path, header: Header) -> bool:
    """The spread of one small tensor of the last block tells SD 2's 768-v models from base ones."""
    key = next((key for key in header.shapes if key.endswith(V_TENSOR)), None)
    if key is None:
        return True
    begin, end = header.places[key]
    with path.open("rb") as file:
        file.seek(begin)
        values = _floats(file.read(min(end - begin, 1 << 16)), header.dtypes[key])
    if not values:
        return True
    mean = sum(values) / len(values)
    return (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5 > V_STD


def _floats(raw: bytes, dtype: str) -> list[float]:
    if dtype == "BF16":  # the upper half of a float32
        raw = b"".join(b"\0\0" + raw[at : at + 2] for at in range(0, len(raw) - 1, 2))
        dtype = "F32"
    code = {"F16": "e", "F32": "f", "F64": "d"}.get(dtype)
    if code is None:
        return []
    size = struct.calcsize(code)
    return list(struct.unpack(f"<{len(raw) // size}{code}", raw[: len(raw) // size * size]))


def _small(shapes: Shapes) -> ModelKind:
    """Everything that is not a whole checkpoint."""
    if found := _embedding(shapes):
        return found
    bare = {key.removeprefix(VAE).removeprefix("vae."): key for key in shapes}
    if "decoder.conv_in.weight" in bare:
        shape = shapes[bare["decoder.conv_in.weight"]]
        channels = shape[1] if len(shape) == 4 else 0
        if channels == 4:
            return ModelKind("vae")
        return ModelKind("foreign", f"VAE of {channels} channels (Flux, Stable Diffusion 3 …)")
    if _has(shapes, "taesd_", "decoder.layers.", "encoder.layers.0.conv"):
        return ModelKind("preview decoder")
    if _has(shapes, "text_model.encoder.", "transformer.text_model.", "text_model.embeddings."):
        width = next((s[-1] for k, s in shapes.items() if k.endswith("token_embedding.weight")), 0)
        return ModelKind("text encoder", {768: "sd15", 1024: "sd2", 1280: "sdxl"}.get(width, ""))
    if _upscaler(shapes):
        return ModelKind("upscaler")
    return UNKNOWN


def _embedding(shapes: Shapes) -> ModelKind | None:
    """Textual inversion: emb_params (n, width), SDXL's clip_l and clip_g, diffusers' one tensor."""
    if {"clip_l", "clip_g"} <= set(shapes):
        return ModelKind("embedding", "sdxl")
    for name in ("emb_params", "string_to_param.*", "*"):
        if shapes.get(name):
            return ModelKind("embedding", BASES.get(shapes[name][-1], ""))
    if len(shapes) == 1:
        (shape,) = shapes.values()
        few = len(shape) == 1 or (len(shape) == 2 and shape[0] <= 75)
        if few and shape[-1] in (768, 1024):
            return ModelKind("embedding", BASES[shape[-1]])
    return None


def _upscaler(shapes: Shapes) -> bool:
    """The ESRGAN family (RRDBNet old and new, SRVGG) and those spandrel knows by a first conv."""
    keys = {key.removeprefix("params_ema.").removeprefix("params.") for key in shapes}
    if "model.0.weight" in keys and _has(keys, "model.1.sub."):
        return True
    if "conv_first.weight" in keys:
        return _has(keys, "body.", "RRDB_trunk.", "layers.", "trunk.", "blocks.")
    return "body.0.weight" in keys and any(re.fullmatch(r"body\.\d+\.bias", key) for key in keys)
