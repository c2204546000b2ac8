"""The names of tensors in model files, freed of what tools put around them."""

from __future__ import annotations

import re
from collections.abc import Iterable

UNET, VAE = "model.diffusion_model.", "first_stage_model."
"""Where a single file keeps them (CompVis' ldm)."""
WRAPPING = re.compile(r"^state_dict\.|(?:^|(?<=\.))(?:_orig_mod|module)\.")
"""What checkpoints in checkpoints, torch.compile and DataParallel leave in names."""
BARE_VAE = re.compile(r"^vae\.(?=encoder\.|decoder\.|quant_conv|post_quant_conv)")


def unwrapped(names: Iterable[str]) -> dict[str, str]:
    """Each name as it stands in the file, by its name without wrapping."""
    listed = list(names)
    text = "\n".join(listed)
    if not any(word in text for word in ("_orig_mod.", "module.", "state_dict.")):
        return {name: name for name in listed}
    return {WRAPPING.sub("", name): name for name in listed}


def usual(names: Iterable[str]) -> dict[str, str]:
    """Each name as it stands in the file, by its name in a whole checkpoint: a U-Net or VAE alone
    in its file gets its prefix."""
    found = unwrapped(names)
    if any(name.startswith(("input_blocks.", "down_blocks.")) for name in found):
        return {UNET + name: old for name, old in found.items()}
    if "decoder.conv_in.weight" in found:
        return {VAE + name: old for name, old in found.items()}
    return {BARE_VAE.sub(VAE, name): old for name, old in found.items()}
