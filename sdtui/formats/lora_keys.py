"""The key names of LoRA files: which module of the model each tensor changes, and how.

A key is the module's name and the parameter's: “lora_unet_mid_block_attentions_0_proj_in.alpha”.
Known are kohya's and LyCORIS' names (SD 1.5 with diffusers' module names, SDXL with Stability's;
both are understood for every family), and peft's as diffusers writes them. Key lists of kohya's
trainer: vectors/training/lora_keys_*.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PARAMETERS = {
    "lora_up.weight": "up", "lora_down.weight": "down", "lora_mid.weight": "mid",
    "lora_B.weight": "up", "lora_A.weight": "down",
    "lora_B.default.weight": "up", "lora_A.default.weight": "down",
    "lora_B": "up", "lora_A": "down",
    "lora.up.weight": "up", "lora.down.weight": "down",
    "lora_linear_layer.up.weight": "up", "lora_linear_layer.down.weight": "down",
    "alpha": "alpha", "dora_scale": "dora_scale",
    "lora_magnitude_vector": "magnitude", "lora_magnitude_vector.weight": "magnitude",
    "lora_magnitude_vector.default.weight": "magnitude",
    "hada_w1_a": "hada_w1_a", "hada_w1_b": "hada_w1_b", "hada_t1": "hada_t1",
    "hada_w2_a": "hada_w2_a", "hada_w2_b": "hada_w2_b", "hada_t2": "hada_t2",
    "lokr_w1": "lokr_w1", "lokr_w1_a": "lokr_w1_a", "lokr_w1_b": "lokr_w1_b",
    "lokr_w2": "lokr_w2", "lokr_w2_a": "lokr_w2_a", "lokr_w2_b": "lokr_w2_b", "lokr_t2": "lokr_t2",
    "diff": "diff", "diff_b": "diff_b", "w_norm": "diff", "b_norm": "diff_b",
}  # fmt: skip
"""What stands behind a module's name -> the parameter it is (see `diffusion.deltas`)."""
PROCESSOR = re.compile(r"\.processor\.(to_(?:q|k|v|out))_lora\.(up|down)\.weight$")
"""diffusers' oldest names."""
KEY = re.compile(
    r"^(?P<module>.+?)\.(?P<parameter>" + "|".join(map(re.escape, PARAMETERS)) + ")$", re.DOTALL
)
BUNDLED = "bundle_emb."
UNET = -1
"""Stands for the U-Net where text encoders have their numbers."""
PARTS = (
    ("lora_unet_", UNET), ("lora_te_", 0), ("lora_te1_", 0), ("lora_te2_", 1),
    ("unet.", UNET), ("text_encoder.", 0), ("text_encoder_2.", 1),
    ("diffusion_model.", UNET), ("model.diffusion_model.", UNET),
)  # fmt: skip
WRAPPED = re.compile(r"^(unet\.|text_encoder(?:_2)?\.)?base_model\.model\.")
"""What peft puts around a model's names."""
ANY_PART = "lycoris_"
"""LyCORIS alone gives U-Net and text encoder this one prefix."""


@dataclass(frozen=True)
class LoraKeys:
    """The keys of one file, sorted."""

    modules: dict[str, dict[str, str]] = field(default_factory=dict)
    """Module, under its name in the file -> parameter -> key."""
    embeddings: dict[str, dict[str, str]] = field(default_factory=dict)
    """Embeddings that came with the LoRA: name -> “clip_l”, “clip_g” or “*” -> key."""
    unknown: tuple[str, ...] = ()
    """Keys of no known kind (IA3, OFT, GLoRA, other programs' own)."""


def sort_keys(keys: Iterable[str]) -> LoraKeys:
    """The keys by module."""
    modules: dict[str, dict[str, str]] = {}
    embeddings: dict[str, dict[str, str]] = {}
    unknown = []
    for key in keys:
        if key.startswith(BUNDLED) and key.count(".") >= 2:
            _, name, vectors = key.split(".", 2)
            embeddings.setdefault(name, {})[vectors.removeprefix("string_to_param.")] = key
        elif match := PROCESSOR.search(key):
            target = "to_out.0" if match[1] == "to_out" else match[1]
            modules.setdefault(f"{key[: match.start()]}.{target}", {})[match[2]] = key
        elif match := KEY.match(key):
            modules.setdefault(match["module"], {})[PARAMETERS[match["parameter"]]] = key
        else:
            unknown.append(key)
    return LoraKeys(modules, embeddings, tuple(unknown))


Target = tuple[int, str]
"""(UNET or the number of a text encoder, the module's path in it)."""


class Modules:
    """The modules of a model, found by the names that LoRA files have for them."""

    def __init__(self, unet: Iterable[str], text_encoders: Iterable[Iterable[str]]) -> None:
        """Paths of all modules with weights, as diffusers and transformers name them."""
        self._spellings: dict[int, dict[str, str]] = {UNET: unet_spellings(unet)}
        for number, paths in enumerate(text_encoders):
            self._spellings[number] = {_bare(_flat(path)): path for path in paths}

    def find(self, module: str) -> Target | None:
        """The module that a file calls so; None if the model has no such one."""
        module = WRAPPED.sub(lambda match: match[1] or "unet.", module)
        if module.startswith(ANY_PART):
            return self._in_any(_flat(module.removeprefix(ANY_PART)))
        for prefix, part in PARTS:
            if module.startswith(prefix):
                return self._in(part, _flat(module.removeprefix(prefix)))
        return self._in_any(_flat(module))

    def _in_any(self, name: str) -> Target | None:
        return self._in(UNET, name) or self._in(0, name)

    def _in(self, part: int, name: str) -> Target | None:
        path = self._spellings.get(part, {}).get(name if part == UNET else _bare(name))
        return None if path is None else (part, path)


def _flat(path: str) -> str:
    return path.replace(".", "_")


def _bare(name: str) -> str:
    """transformers 5.6 took the level “text_model” out of CLIPTextModel, not out of its sister."""
    return name.removeprefix("text_model_")


RESIDUAL = {
    "norm1": "in_layers_0", "conv1": "in_layers_2", "time_emb_proj": "emb_layers_1",
    "norm2": "out_layers_0", "conv2": "out_layers_3", "conv_shortcut": "skip_connection",
}  # fmt: skip
SINGLE = {
    "conv_in": "input_blocks_0_0", "conv_out": "out_2", "conv_norm_out": "out_0",
    "time_embedding.linear_1": "time_embed_0", "time_embedding.linear_2": "time_embed_2",
    "add_embedding.linear_1": "label_emb_0_0", "add_embedding.linear_2": "label_emb_0_2",
}  # fmt: skip
BLOCK = re.compile(
    r"(?P<way>down|up)_blocks\.(?P<level>\d+)\."
    r"(?P<kind>resnets|attentions|downsamplers|upsamplers)\.(?P<place>\d+)(?:\.(?P<rest>.+))?$"
)
MIDDLE = re.compile(r"mid_block\.(?P<kind>resnets|attentions)\.(?P<place>\d+)(?:\.(?P<rest>.+))?$")


def unet_spellings(paths: Iterable[str]) -> dict[str, str]:
    """diffusers' and Stability's name of each module, dots as underscores -> its path."""
    known = set(paths)
    blocks = [match for path in known if (match := BLOCK.match(path))]
    layers = len({one["place"] for one in blocks if one["kind"] == "resnets" and _on_top(one)})
    attending = {
        one["level"] for one in blocks if one["kind"] == "attentions" and one["way"] == "up"
    }
    found = {}
    for path in known:
        if original := _original(path, layers, attending):
            found[original] = path
    return found | {_flat(path): path for path in known}


def _on_top(block: re.Match[str]) -> bool:
    return block["way"] == "down" and block["level"] == "0"


def _original(path: str, layers: int, attending: set[str]) -> str | None:
    """A module's place in Stability's U-Net, whose blocks are numbered through.

    `layers` residual blocks stand in each level on the way down, one more on the way up;
    `attending` are the levels with attention on the way up.
    """
    if path in SINGLE:
        return SINGLE[path]
    if match := MIDDLE.match(path):
        place = 1 if match["kind"] == "attentions" else 2 * int(match["place"])
        return f"middle_block_{place}" + _rest(match)
    if (match := BLOCK.match(path)) is None:
        return None
    level, place = int(match["level"]), int(match["place"])
    inside = {"resnets": 0, "attentions": 1, "downsamplers": 0}.get(match["kind"])
    if match["way"] == "down":
        place = layers if match["kind"] == "downsamplers" else place
        return f"input_blocks_{1 + level * (layers + 1) + place}_{inside}" + _rest(match)
    if match["kind"] == "upsamplers":
        place = layers
        inside = 2 if match["level"] in attending else 1
    return f"output_blocks_{level * (layers + 1) + place}_{inside}" + _rest(match)


def _rest(match: re.Match[str]) -> str:
    rest = match["rest"]
    if rest is None:
        return ""
    if match["kind"] == "resnets":
        return "_" + RESIDUAL.get(rest, _flat(rest))
    return "_op" if match["kind"] == "downsamplers" else "_" + _flat(rest)


def peft_scale(adapter: Mapping[str, object], module: str, rank: int) -> float:
    """alpha / rank as peft's own settings say it, for files without alpha keys.

    Args:
        adapter: the JSON under “lora_adapter_metadata” that diffusers writes into the header:
            settings as “unet.lora_alpha”, “text_encoder.r”.
        module: its name in the file.
        rank: the module's.
    """
    part, _, path = module.partition(".")
    alpha = adapter.get(f"{part}.lora_alpha")
    patterns = adapter.get(f"{part}.alpha_pattern")
    if isinstance(patterns, Mapping):
        for pattern, value in patterns.items():
            if f".{path}".endswith(f".{pattern}"):
                alpha = value
    if not isinstance(alpha, int | float) or isinstance(alpha, bool):
        return 1.0
    return alpha / (rank**0.5 if adapter.get(f"{part}.use_rslora") else rank)
