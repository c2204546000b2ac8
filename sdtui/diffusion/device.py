"""Which device, which precision."""

from __future__ import annotations

import ctypes
import gc

import torch


def default_device() -> torch.device:
    """The first GPU, else the CPU."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def unet_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the card really has it, else fp16; fp32 on CPUs, where both are 80x slower.

    An RTX 2070 only emulates bf16, so emulation does not count.
    """
    if device.type != "cuda":
        return torch.float32
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16


def vae_dtype(device: torch.device, family: str) -> torch.dtype:
    """fp32 for SDXL, whose stock VAE overflows in half precision, and on CPUs; else fp16.

    Not bf16: its 8 bits of mantissa show in smooth colours.
    """
    whole = family == "sdxl" or device.type != "cuda"
    return torch.float32 if whole else torch.float16


def give_memory_back() -> None:
    """Return freed memory to the card and to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim_heap()


def trim_heap() -> None:
    """Return what lies free between used pieces to the system: after many large tensors came and
    went that is as much again as what stays."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return  # not glibc: it returns memory as it likes
