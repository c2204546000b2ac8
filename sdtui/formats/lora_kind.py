"""LoRA files: which algorithm, and which family they were trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

Shapes = Mapping[str, tuple[int, ...]]

ALGORITHMS = (
    ("DoRA", re.compile(r"\.(dora_scale|lora_magnitude_vector(\.weight)?)$")),
    ("LoHa", re.compile(r"\.hada_w1_[ab]$")),
    ("LoKr", re.compile(r"\.lokr_w[12](_[ab])?$")),
    ("OFT", re.compile(r"\.(oft_blocks|oft_diag|oft_R\.weight)$")),
    ("GLoRA", re.compile(r"\.a1\.weight$|\.b1\.weight$")),
    ("IA3", re.compile(r"\.on_input$")),
)
DOWN = re.compile(r"\.(lora_down|lora_A|lora\.down)(\.default)?\.weight$|_lora\.down\.weight$")
DIFF = re.compile(r"\.diff$")
PREFIX = re.compile(
    r"^(lora_(unet|te\d?|transformer)_|lycoris_|unet\.|text_encoder|transformer\.|diffusion_model\.|"
    r"base_model\.model\.)"
)
READS_TEXT = re.compile(r"attn2[._](processor[._])?to_k(?=[._])")
TEXT_ENCODER = re.compile(r"^(lora_te_|text_encoder\.).*(q_proj|k_proj)(?=[._])")
FOREIGN = (
    ("Flux", re.compile(r"double_blocks_|single_blocks_|single_transformer_blocks")),
    ("Stable Diffusion 3", re.compile(r"joint_blocks|^lora_te3_|transformer\.transformer_blocks")),
    ("Wan video", re.compile(r"^(diffusion_model\.|lora_unet_)blocks[._]\d+[._]cross_attn")),
    ("Lumina or Z-Image", re.compile(r"^(diffusion_model\.|lora_unet_)layers[._]\d+[._]")),
)
BASES = {768: "sd15", 1024: "sd2", 2048: "sdxl", 1280: "refiner"}
TEXT_BASES = {768: "sd15", 1024: "sd2"}


def lora_kind(shapes: Shapes, metadata: Mapping[str, str]) -> tuple[str, str] | None:
    """(base, algorithm), or None when this is no LoRA. base is “” when nothing tells."""
    algorithm = _algorithm(shapes)
    if algorithm is None:
        return None
    return _base(shapes, metadata), algorithm


def _algorithm(shapes: Shapes) -> str | None:
    for name, pattern in ALGORITHMS:
        if any(pattern.search(key) and PREFIX.search(key) for key in shapes):
            return name
    downs = [key for key in shapes if DOWN.search(key)]
    if downs:
        large = any(len(shapes[key]) == 4 and shapes[key][-1] > 1 for key in downs)
        tucker = any(key.endswith("lora_mid.weight") for key in shapes)
        return "LoCon" if large or tucker else "LoRA"
    if any(DIFF.search(key) and PREFIX.search(key) for key in shapes):
        return "full difference"
    return None


def _base(shapes: Shapes, metadata: Mapping[str, str]) -> str:
    for name, pattern in FOREIGN:
        if any(pattern.search(key) for key in shapes):
            return name
    if width := next(_inputs(shapes, READS_TEXT), 0):
        return BASES.get(width, "")
    if any(key.startswith(("lora_te1_", "lora_te2_", "text_encoder_2.")) for key in shapes):
        return "sdxl"
    if said := _said(metadata):
        return said
    return TEXT_BASES.get(next(_inputs(shapes, TEXT_ENCODER), 0), "")


def _said(metadata: Mapping[str, str]) -> str:
    """What the trainer wrote down about the base model."""
    base = metadata.get("ss_base_model_version", "").lower()
    architecture = metadata.get("modelspec.architecture", "").lower()
    if "sdxl" in base or "stable-diffusion-xl" in architecture:
        return "sdxl"
    if metadata.get("ss_v2", "").lower() == "true" or base.startswith("sd_v2"):
        return "sd2"
    if "stable-diffusion-v2" in architecture:
        return "sd2"
    return "sd15" if base.startswith("sd_v1") or "stable-diffusion-v1" in architecture else ""


def _inputs(shapes: Shapes, module: re.Pattern[str]) -> Iterator[int]:
    """How many numbers the matching modules read: the width that the family decides."""
    for key, shape in shapes.items():
        if not module.search(key) or len(shape) < 2:
            continue
        if DOWN.search(key) or DIFF.search(key) or key.endswith(("hada_w1_b", "hada_w2_b")):
            yield shape[1]
        elif key.endswith(("lokr_w1", "lokr_w1_b")):
            stem = key[: key.rindex(".")]
            second = shapes.get(f"{stem}.lokr_w2") or shapes.get(f"{stem}.lokr_w2_b")
            if second and len(second) > 1:
                yield shape[1] * second[1]
