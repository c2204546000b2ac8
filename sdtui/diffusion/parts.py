"""What both kinds of loader share: making one network of a model from named tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .device import vae_dtype

Told = Callable[[str], None]
"""Called with the name of the part about to be loaded; may raise to cancel."""
SHOWN = 3
"""So many missing tensors are named in a message."""


class LoadError(Exception):
    """The model cannot be loaded; the message says what is wrong with which file."""


@dataclass(frozen=True)
class Parts:
    """Where and how the parts are wanted."""

    device: torch.device
    dtype: torch.dtype
    told: Told

    def vae_dtype(self, base: str) -> torch.dtype:
        """As `device.vae_dtype`; on a CPU a precision that was asked for holds for the VAE too."""
        asked = self.device.type == "cpu" and base != "sdxl"
        return self.dtype if asked else vae_dtype(self.device, base)


def filled(
    make: Callable[[], Any], tensors: Mapping[str, Tensor], dtype: torch.dtype, what: str
) -> Any:
    """The network that `make` builds, with `tensors` in the place of its parameters.

    It is built without memory; tensors of the wanted dtype are taken as they are, so that they
    stay views of their file. Tensors that it does not need are left out.

    Raises:
        LoadError: one is missing or of the wrong shape; `what` begins the message.
    """
    from accelerate import init_empty_weights

    with init_empty_weights():
        network = make()
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in tensors]
    if missing:
        shown = ", ".join(missing[:SHOWN]) + (" …" if len(missing) > SHOWN else "")
        raise LoadError(f"{what} is incomplete: {len(missing)} tensors are missing ({shown})")
    chosen = {}
    for name, parameter in wanted.items():
        tensor = tensors[name]
        if tensor.shape != parameter.shape:
            tensor = _unfolded(tensor, parameter.shape, f"{what}: {name}")
        chosen[name] = tensor.to(dtype)
    network.load_state_dict(chosen, assign=True)
    return network


def _unfolded(tensor: Tensor, shape: torch.Size, name: str) -> Tensor:
    """A 1x1 convolution's weights as a linear layer's, or the other way round."""
    same = [n for n in tensor.shape if n != 1] == [n for n in shape if n != 1]
    if tensor.numel() != shape.numel() or not same:
        raise LoadError(f"{name} has the shape {tuple(tensor.shape)} instead of {tuple(shape)}")
    return tensor.reshape(shape)
