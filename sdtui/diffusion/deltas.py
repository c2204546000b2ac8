"""What a LoRA adds to the weights of one module: the formula of each algorithm.

The formulas are LyCORIS' (Yeh et al. 2023, “Navigating Text-To-Image Customization”, and its
code for Tucker decompositions and LoKr's forms) and DoRA's (Liu et al. 2024). Everything is
computed in float32 on the weight's device. `tensors` holds a module's tensors by parameter name
(`formats.lora_keys.PARAMETERS`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

Tensors = Mapping[str, Tensor]
EPSILON = torch.finfo(torch.float32).eps


class Misfit(Exception):
    """These tensors do not belong to a module of this shape; the message names the shapes."""


def delta(
    tensors: Tensors, weight: Tensor, scale: float | None = None, dyn: int | None = None
) -> Tensor | None:
    """What is added to `weight` at strength 1: float32, of its shape. None if nothing is.

    Strength multiplies it, for DoRA too (LyCORIS itself scales only the magnitude there, so that
    at strength 0 half of the change would stay).

    Args:
        weight: the module's own: (out, in), (out, in, kh, kw), or (n,) of a norm.
        scale: alpha / rank, where it is not told by an alpha among the tensors.
        dyn: use only the first ranks of a plain LoRA.

    Raises:
        Misfit: a tensor is missing, or the shapes do not go together.
    """
    here = {name: one.to(weight.device, torch.float32) for name, one in tensors.items()}
    try:
        found = _difference(here, weight.numel(), scale, dyn)
        if found is None:
            return None
        found = _shaped(found, weight)
        is_dora = "dora_scale" in here or "magnitude" in here
        return _decomposed(found, weight.float(), here) if is_dora else found
    except KeyError as error:
        raise Misfit(f"{error.args[0]} is missing") from None
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError) as error:
        raise Misfit(str(error).partition("\n")[0]) from error


def bias_delta(tensors: Tensors, bias: Tensor | None) -> Tensor | None:
    """What is added to the module's bias at strength 1. Raises Misfit."""
    if "diff_b" not in tensors:
        return None
    found = tensors["diff_b"]
    if bias is None or found.numel() != bias.numel():
        shape = "no bias" if bias is None else f"a bias of {tuple(bias.shape)}"
        raise Misfit(f"{tuple(found.shape)} for {shape}")
    return found.to(bias.device, torch.float32).reshape(bias.shape)


def _difference(tensors: Tensors, most: int, scale: float | None, dyn: int | None) -> Tensor | None:
    """`most`: numbers that the result may have. A small file can ask for a product that fills the
    memory."""
    if "diff" in tensors:
        return tensors["diff"]
    if "up" in tensors or "down" in tensors:
        return _lora(tensors, most, scale, dyn)
    if any(name.startswith("hada_") for name in tensors):
        return _loha(tensors, most)
    if any(name.startswith("lokr_") for name in tensors):
        return _lokr(tensors, most)
    return None


def _at_most(numbers: int, most: int) -> None:
    if numbers > most:
        raise Misfit(f"{numbers} numbers for a weight of {most}")


def _scale(tensors: Tensors, rank: int) -> float:
    """alpha / rank; a missing alpha, and 0, mean rank (kohya, LyCORIS)."""
    alpha = float(tensors["alpha"]) if "alpha" in tensors else 0.0
    return alpha / rank if alpha else 1.0


def _lora(tensors: Tensors, most: int, scale: float | None, dyn: int | None) -> Tensor:
    """B A; of convolutions B is 1x1. With a core between them (Tucker): LoCon's `mid`."""
    up, down = tensors["up"].flatten(1), tensors["down"].flatten(1)
    rank = len(down)
    factor = _scale(tensors, rank) if scale is None else scale
    if "mid" in tensors:
        return _tucker(tensors["mid"], up.T, down, most) * factor
    return _product(up[:, :dyn] * factor, down[:dyn], most)


def _loha(tensors: Tensors, most: int) -> Tensor:
    """(A1 B1) * (A2 B2), element by element."""
    halves = []
    for number in (1, 2):
        a, b = tensors[f"hada_w{number}_a"], tensors[f"hada_w{number}_b"]
        core = tensors.get(f"hada_t{number}")
        halves.append(_product(a, b, most) if core is None else _tucker(core, a, b, most))
    return halves[0] * halves[1] * _scale(tensors, len(tensors["hada_w1_b"]))


def _lokr(tensors: Tensors, most: int) -> Tensor:
    """The Kronecker product of two factors, each whole or itself a product; both whole: scale 1."""
    rank = 0
    factors = []
    for number in (1, 2):
        whole = tensors.get(f"lokr_w{number}")
        if whole is None:
            a, b = tensors[f"lokr_w{number}_a"], tensors[f"lokr_w{number}_b"]
            core = tensors.get(f"lokr_t{number}")
            if core is None:
                whole = _product(a, b.flatten(1), most).unflatten(1, b.shape[1:])
            else:
                whole = _tucker(core, a, b, most)
            rank = len(b)
        factors.append(whole)
    first, second = factors
    _at_most(first.numel() * second.numel(), most)
    first = first.reshape((*first.shape, *(1 for _ in range(second.dim() - first.dim()))))
    return torch.kron(first, second.contiguous()) * (_scale(tensors, rank) if rank else 1.0)


def _product(a: Tensor, b: Tensor, most: int) -> Tensor:
    _at_most(a.shape[0] * b.shape[1], most)
    return a @ b


def _tucker(core: Tensor, a: Tensor, b: Tensor, most: int) -> Tensor:
    """A core (i, j, kh, kw) between a (i, out) and b (j, in): (out, in, kh, kw)."""
    _at_most(a.shape[1] * b.shape[1] * core.shape[2:].numel(), most)
    return torch.einsum("ij...,ip,jr->pr...", core, a, b)


def _shaped(found: Tensor, weight: Tensor) -> Tensor:
    """As the weight's shape: 1x1 convolutions may be linear layers and the other way round."""
    if found.numel() == weight.numel() and found.shape[:1] == weight.shape[:1]:
        return found.reshape(weight.shape)
    shape = tuple(weight.shape)
    if len(shape) == 4 and shape[1] in (5, 8, 9) and found.shape[:1] == shape[:1]:
        # The first convolution of an inpainting model: what it reads beside the picture stays.
        plain = (shape[0], 4, *shape[2:])
        if found.numel() == weight.numel() // shape[1] * 4:
            return pad(found.reshape(plain), (0, 0, 0, 0, 0, shape[1] - 4))
    raise Misfit(f"{tuple(found.shape)} for a weight of {shape}")


def _decomposed(found: Tensor, weight: Tensor, tensors: Tensors) -> Tensor:
    """DoRA: the changed weight is brought to the trained length of each row, or of each column.

    LyCORIS' `dora_scale` is (out, 1, …) or (1, in, …); peft's `magnitude` is of rows, in any shape.
    """
    trained = tensors["dora_scale"] if "dora_scale" in tensors else tensors["magnitude"]
    rows = "dora_scale" not in tensors or trained.shape[:1] == weight.shape[:1]
    changed = weight + found
    others = [dim for dim in range(weight.dim()) if dim != (0 if rows else 1)]
    length = torch.linalg.vector_norm(changed, dim=others, keepdim=True) + EPSILON
    return changed * (trained.reshape(length.shape) / length) - weight
