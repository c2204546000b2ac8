"""What LoRAs add to a weight, beside lycoris-lora's own modules doing the same."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sdtui.diffusion.deltas import Misfit, bias_delta, delta
from sdtui.formats.lora_keys import PARAMETERS, sort_keys

AGREE = 1e-5
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(24, 36),
    "square": lambda: nn.Linear(24, 24),
    "conv3x3": lambda: nn.Conv2d(24, 36, 3, padding=1),
    "conv1x1": lambda: nn.Conv2d(24, 36, 1),
}
LORA, LOHA, LOKR = "locon.LoConModule", "loha.LohaModule", "lokr.LokrModule"
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "LoRA": (LORA, {}),
    "LoRA, alpha 0": (LORA, {"alpha": 0}),
    "LoCon, Tucker": (LORA, {"use_tucker": True}),
    "DoRA of rows": (LORA, {"weight_decompose": True}),
    "DoRA of columns": (LORA, {"weight_decompose": True, "wd_on_out": False}),
    "DoRA, Tucker": (LORA, {"weight_decompose": True, "use_tucker": True}),
    "LoHa": (LOHA, {}),
    "LoHa, Tucker": (LOHA, {"use_tucker": True}),
    "LoHa, decomposed": (LOHA, {"weight_decompose": True}),
    "LoKr": (LOKR, {"lora_dim": 2}),
    "LoKr, both factors products": (LOKR, {"lora_dim": 1, "factor": 4, "decompose_both": True}),
    "LoKr, factor 2": (LOKR, {"lora_dim": 2, "factor": 2}),
    "LoKr, whole factors": (LOKR, {"full_matrix": True}),
    "LoKr, large rank": (LOKR, {"lora_dim": 100}),
    "LoKr, Tucker": (LOKR, {"lora_dim": 2, "factor": 2, "use_tucker": True}),
    "LoKr, unbalanced": (LOKR, {"lora_dim": 2, "factor": 2, "unbalanced_factorization": True}),
    "LoKr, decomposed": (LOKR, {"lora_dim": 2, "weight_decompose": True}),
    "LoKr, decomposed by columns": (
        LOKR, {"lora_dim": 2, "weight_decompose": True, "wd_on_out": False},
    ),
}  # fmt: skip


def lycoris(name: str) -> Any:
    pytest.importorskip("lycoris", reason="lycoris-lora is not installed (extra “test”)")
    import importlib

    module, _, kind = name.partition(".")
    return getattr(importlib.import_module(f"lycoris.modules.{module}"), kind)


def filled(module: nn.Module) -> nn.Module:
    """Every trained tensor becomes random: fresh modules change nothing."""
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            tensor.copy_(torch.randn(tensor.shape) * 0.3)
            if name == "dora_scale":
                tensor.abs_().add_(0.5)
    return module.eval()


def as_in_a_file(module: nn.Module) -> dict[str, Tensor]:
    """The module's tensors under our parameter names, by way of the key names of a file."""
    state = {f"lora_unet_x.{name}": tensor for name, tensor in module.state_dict().items()}
    keys = sort_keys(state)
    assert not keys.unknown
    return {name: state[key].detach() for name, key in keys.modules["lora_unet_x"].items()}


def moved(layer: nn.Module, weight: Tensor, bias: Tensor | None = None) -> Callable[..., Tensor]:
    """What the layer's output changes by when these are added to its parameters."""

    def change(x: Tensor) -> Tensor:
        parameters = {"weight": layer.weight + weight}
        if bias is not None:
            parameters["bias"] = layer.bias + bias
        return torch.func.functional_call(layer, parameters, x) - layer(x)

    return change


def an_input(layer: nn.Module) -> Tensor:
    return torch.randn(2, 24, 5, 5) if isinstance(layer, nn.Conv2d) else torch.randn(3, 24)


@pytest.mark.parametrize("layer_name", LAYERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_as_lycoris(variant: str, layer_name: str) -> None:
    torch.manual_seed(5)
    layer = LAYERS[layer_name]()
    kind, options = VARIANTS[variant]
    theirs = filled(lycoris(kind)("x", layer, **{"lora_dim": 4, "alpha": 3, **options}))
    found = delta(as_in_a_file(theirs), layer.weight.detach())
    assert found is not None and found.shape == layer.weight.shape
    x = an_input(layer)
    wanted = theirs(x) - layer(x)
    assert wanted.abs().max() > 0.1
    assert torch.allclose(moved(layer, found)(x), wanted, atol=AGREE * wanted.abs().max().item())


@pytest.mark.parametrize("layer_name", LAYERS)
def test_full_differences_as_lycoris(layer_name: str) -> None:
    torch.manual_seed(6)
    layer = LAYERS[layer_name]()
    made = lycoris("full.FullModule")("x", layer)
    change = {"diff": torch.randn_like(layer.weight), "diff_b": torch.randn_like(layer.bias)}
    with torch.no_grad():
        theirs = made.make_module_from_state_dict("x", layer, change["diff"], change["diff_b"])
    weight, bias = theirs.get_diff_weight()
    assert torch.equal(delta(change, layer.weight.detach()), weight)
    assert torch.equal(bias_delta(change, layer.bias.detach()), bias)


@pytest.mark.parametrize("layer", [nn.LayerNorm(24), nn.GroupNorm(4, 24)], ids=["layer", "group"])
def test_norms_as_lycoris(layer: nn.Module) -> None:
    torch.manual_seed(7)
    theirs = filled(lycoris("norms.NormModule")("x", layer))
    tensors = as_in_a_file(theirs)
    assert set(tensors) == {"diff", "diff_b"}
    x = torch.randn(2, 24, 5, 5) if isinstance(layer, nn.GroupNorm) else torch.randn(3, 24)
    weight = delta(tensors, layer.weight.detach())
    ours = moved(layer, weight, bias_delta(tensors, layer.bias.detach()))(x)
    assert torch.allclose(ours, theirs(x) - layer(x), atol=AGREE * 10)


def test_a_missing_alpha_is_the_rank_and_ranks_are_each_modules_own() -> None:
    weight, up, down = torch.zeros(6, 5), torch.randn(6, 3), torch.randn(3, 5)
    plain = delta({"up": up, "down": down}, weight)
    assert torch.allclose(plain, up @ down)
    half = delta({"up": up, "down": down, "alpha": torch.tensor(1.5)}, weight)
    assert torch.allclose(half, plain / 2)
    assert torch.allclose(delta({"up": up, "down": down}, weight, scale=4.0), plain * 4)


def test_only_so_many_ranks() -> None:
    up, down, alpha = torch.randn(6, 3), torch.randn(3, 5), torch.tensor(3.0)
    found = delta({"up": up, "down": down, "alpha": alpha}, torch.zeros(6, 5), dyn=2)
    assert torch.allclose(found, up[:, :2] @ down[:2])


def test_half_precision_files_are_computed_in_float32() -> None:
    up, down = torch.randn(8, 4).half(), torch.randn(4, 8).half()
    found = delta({"up": up, "down": down}, torch.zeros(8, 8, dtype=torch.bfloat16))
    assert found.dtype == torch.float32
    assert torch.equal(found, up.float() @ down.float())


def test_convolutions_1x1_and_linear_layers_stand_for_each_other() -> None:
    up, down = torch.randn(6, 3), torch.randn(3, 5)
    flat = delta({"up": up, "down": down}, torch.zeros(6, 5))
    as_conv = {"up": up[..., None, None], "down": down[..., None, None]}
    assert torch.equal(delta(as_conv, torch.zeros(6, 5)), flat)
    conv = delta({"up": up, "down": down}, torch.zeros(6, 5, 1, 1))
    assert torch.equal(conv[..., 0, 0], flat)


def test_the_first_convolution_of_an_inpainting_model_keeps_what_it_reads_beside() -> None:
    found = delta({"diff": torch.ones(6, 4, 3, 3)}, torch.zeros(6, 9, 3, 3))
    assert found.shape == (6, 9, 3, 3)
    assert bool((found[:, :4] == 1).all()) and bool((found[:, 4:] == 0).all())


def test_dora_as_peft_names_it_is_of_rows() -> None:
    weight = torch.randn(5, 5, 1, 1)
    change = {"up": torch.randn(5, 2, 1, 1), "down": torch.randn(2, 5, 1, 1)}
    scales = torch.rand(5) + 0.5
    rows = delta({**change, "dora_scale": scales.reshape(5, 1, 1, 1)}, weight)
    assert torch.equal(delta({**change, "magnitude": scales.reshape(1, 5, 1, 1)}, weight), rows)
    assert torch.equal(delta({**change, "magnitude": scales}, weight), rows)
    columns = delta({**change, "dora_scale": scales.reshape(1, 5, 1, 1)}, weight)
    assert not torch.allclose(columns, rows)


@pytest.mark.parametrize(
    "tensors",
    [
        {"up": torch.zeros(6, 2)},
        {"up": torch.zeros(6, 2), "down": torch.zeros(3, 5)},
        {"up": torch.zeros(6, 2), "down": torch.zeros(2, 7)},
        {"diff": torch.zeros(5, 6)},
        {"hada_w1_a": torch.zeros(6, 2), "hada_w1_b": torch.zeros(2, 5)},
        {"lokr_w1": torch.zeros(4, 4), "lokr_w2": torch.zeros(3, 3)},
        {"up": torch.zeros(6, 2), "down": torch.zeros(2, 5), "dora_scale": torch.zeros(4, 1)},
        {"diff": torch.tensor(1.0)},
    ],
    ids=["no down", "ranks", "inputs", "turned", "half of LoHa", "LoKr", "DoRA", "number"],
)
def test_what_does_not_fit_is_refused(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(Misfit):
        delta(tensors, torch.zeros(6, 5))
    with pytest.raises(Misfit):
        bias_delta({"diff_b": torch.zeros(4)}, torch.zeros(6))


def test_a_small_file_cannot_ask_for_a_product_that_fills_the_memory() -> None:
    tall, wide = torch.zeros(1, 1).expand(10**7, 1), torch.zeros(1, 1).expand(1, 10**7)
    for tensors in (
        {"up": tall, "down": wide},
        {"hada_w1_a": tall, "hada_w1_b": wide, "hada_w2_a": tall, "hada_w2_b": wide},
        {"lokr_w1": tall, "lokr_w2": tall},
        {"lokr_w1": torch.zeros(1, 1), "lokr_w2_a": tall, "lokr_w2_b": wide},
        {"up": tall, "down": tall.T, "mid": torch.zeros(1, 1, 3, 3)},
    ):
        with pytest.raises(Misfit):
            delta(tensors, torch.zeros(6, 5))


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3, 3), (6,)])
def test_tensors_of_any_shape_either_fit_or_are_refused(shape: tuple[int, ...]) -> None:
    random = Random(7)
    names = sorted(set(PARAMETERS.values()) - {"diff_b"})
    weight = torch.zeros(shape)
    fitting = 0
    for _ in range(3000):
        kind = random.choice(("up down mid", "hada", "lokr", "diff"))
        chosen = [name for name in names if name in kind or name.startswith(kind)]
        chosen = [name for name in chosen if random.random() < 0.9]
        chosen += [name for name in ("alpha", "dora_scale") if random.random() < 0.2]
        tensors = {
            name: torch.ones(
                [random.choice((0, 1, 2, 3, 5, 6)) for _ in range(random.randint(0, 4))]
            )
            for name in chosen
        }
        try:
            found = delta(tensors, weight)
        except Misfit:
            continue
        if found is not None:
            fitting += 1
            assert found.shape == weight.shape and found.dtype == torch.float32
    assert fitting or shape == (6, 5, 3, 3)
