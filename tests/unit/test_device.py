"""Which precision suits which device, without such a device."""

from __future__ import annotations

import pytest
import torch

from sdtui.diffusion.device import unet_dtype, vae_dtype

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(("native", "wanted"), [(True, torch.bfloat16), (False, torch.float16)])
def test_the_unet_has_bf16_only_where_the_card_does(
    monkeypatch: pytest.MonkeyPatch, native: bool, wanted: torch.dtype
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert unet_dtype(GPU) == wanted
    assert unet_dtype(CPU) == torch.float32


def test_the_vae_of_sdxl_is_whole_and_others_are_half() -> None:
    assert vae_dtype(GPU, "sdxl") == torch.float32
    assert vae_dtype(GPU, "sd15") == torch.float16
    assert vae_dtype(CPU, "sd15") == torch.float32
