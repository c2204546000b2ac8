"""LoRAs in a model: merged weights, and whole pictures with, without and after them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench import make_model
from sdtui.diffusion.load import Model, load_model
from sdtui.diffusion.lora import LoraError, LoraPatcher, LoraUse
from sdtui.diffusion.pipeline import Hooks, generate
from sdtui.params.generate import GenerateParams
from tests.vectors_path import load

CPU = torch.device("cpu")
Q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
Q_IN_FILE = {"sd15": f"lora_unet_{Q.replace('.', '_')}",
             "sdxl": "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """Tiny models by base; each is loaded once."""
    folder = tmp_path_factory.mktemp("models")
    loaded: dict[str, Model] = {}

    def model(base: str) -> Model:
        if base not in loaded:
            path = make_model.checkpoint(folder / f"{base}.safetensors", base, tiny=True)
            loaded[base] = load_model(base, path, "unknown", CPU, lambda part: None)
        return loaded[base]

    return model


def lora(path: Path, base: str = "sd15", **options: object) -> LoraUse:
    """A tiny LoRA file, at strength 1."""
    return LoraUse(path.stem, make_model.lora(path, base, tiny=True, **options))


def at(use: LoraUse, te: float, unet: float | None = None) -> LoraUse:
    return LoraUse(use.name, use.path, te, te if unet is None else unet)


def weights(model: Model) -> dict[str, Tensor]:
    """Every parameter of U-Net and text encoders, as it is now."""
    parts = {"unet": model.unet, **{f"text{i}": one for i, one in enumerate(model.text_encoders)}}
    return {f"{part}.{name}": tensor for part, network in parts.items()
            for name, tensor in network.state_dict().items()}  # fmt: skip


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def picture(model: Model, prompt: str = "a red circle") -> bytes:
    made: list[bytes] = []
    params = GenerateParams(prompt=prompt, width=64, height=64, steps=2, seed=7)
    generate(model, params, Hooks(image=lambda image, seed: made.append(image.tobytes())))
    return made[0]


@pytest.mark.parametrize(
    ("base", "algorithm"),
    [*itertools.product(("sd15", "sdxl"), ("lora", "loha", "lokr", "dora")), ("sd2", "lora")],
)
def test_every_module_of_a_file_is_found_and_everything_comes_back(
    models: Callable[[str], Model], tmp_path: Path, base: str, algorithm: str
) -> None:
    model = models(base)
    before = weights(model)
    use = lora(tmp_path / "a.safetensors", base, algorithm=algorithm)
    patcher = LoraPatcher(model)
    (match,) = patcher.apply([use])
    modules = {key.split(".")[0] for key in load_file(use.path)}
    assert (match.matched, match.modules, match.left_out) == (len(modules), len(modules), ())
    after = weights(model)
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    assert len(changed) == len(modules)
    assert all(torch.isfinite(after[name]).all() for name in changed)
    patcher.restore()
    assert all(one.data_ptr() == before[name].data_ptr() for name, one in weights(model).items())


@pytest.mark.vectors
@pytest.mark.parametrize("base", ["sd15", "sdxl"])
def test_each_module_gets_its_product_with_alpha_and_strength(
    models: Callable[[str], Model], tmp_path: Path, base: str
) -> None:
    model, strength = models(base), {"unet": 0.75, "te": -0.5}
    own = {name: tensor.clone() for name, tensor in weights(model).items()}
    use = lora(tmp_path / "a.safetensors", base, rank=8)
    file = {name: tensor.float() for name, tensor in load_file(use.path).items()}
    patcher = LoraPatcher(model)
    patcher.apply([at(use, strength["te"], strength["unet"])])
    found = weights(model)
    vectors = load(f"training/lora_keys_{base}.json")
    unet, text = (vectors[f"{map}_module_of_{part}_name"] for map, part in
                  (("diffusers", "unet"), ("transformers5", "te")))  # fmt: skip
    stems = {name.split(".")[0] for name in file}
    for stem in stems:
        part = "unet" if stem in unet else "text1" if stem.startswith("lora_te2_") else "text0"
        path = unet.get(stem) or text[stem]
        if f"{part}.{path}.weight" not in own:  # transformers 5.6 has no such level here
            path = f"text_model.{path}"
        up, down = file[f"{stem}.lora_up.weight"], file[f"{stem}.lora_down.weight"]
        product = torch.einsum("or...,ri...->oi...", up, down)
        factor = strength["unet" if part == "unet" else "te"] * file[f"{stem}.alpha"] / 8
        wanted = own.pop(f"{part}.{path}.weight") + factor * product
        assert torch.allclose(found[f"{part}.{path}.weight"], wanted, atol=1e-5), stem
    assert same(own, found)  # the others
    patcher.restore()


def test_pictures_after_a_lora_are_those_of_before_bit_for_bit(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sd15")
    patcher = LoraPatcher(model)
    use = lora(tmp_path / "a.safetensors", dtype="fp16")
    plain = picture(model)
    patcher.apply([at(use, 0.8)])
    with_it = picture(model)
    assert with_it != plain
    patcher.apply([])
    assert picture(model) == plain
    patcher.apply([at(use, 0.8)])
    assert picture(model) == with_it
    patcher.apply([at(use, 0.0)])
    assert picture(model) == plain
    patcher.restore()


def test_text_encoder_and_unet_have_strengths_of_their_own(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sdxl")
    before, patcher = weights(model), LoraPatcher(model)
    use = lora(tmp_path / "a.safetensors", "sdxl")
    for te, unet, parts in ((1, 0, {"text0", "text1"}), (0, 1, {"unet"})):
        patcher.apply([at(use, te, unet)])
        after = weights(model)
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert {name.split(".")[0] for name in changed} == parts
    patcher.restore()


def test_negative_strength_takes_away_what_positive_adds(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sd15")
    patcher = LoraPatcher(model)
    use = lora(tmp_path / "a.safetensors", algorithm="dora")
    own = {name: tensor.clone() for name, tensor in weights(model).items()}
    patcher.apply([at(use, 0.5)])
    more = {name: tensor.clone() for name, tensor in weights(model).items()}
    patcher.apply([at(use, -0.5)])
    less = weights(model)
    patcher.restore()
    for name in own:
        assert torch.allclose(more[name] + less[name], 2 * own[name], atol=1e-5), name


def test_two_loras_add_up_in_any_order(models: Callable[[str], Model], tmp_path: Path) -> None:
    model = models("sd15")
    patcher = LoraPatcher(model)
    first = lora(tmp_path / "a.safetensors", seed=1)
    second = lora(tmp_path / "b.safetensors", seed=2, algorithm="loha")
    deltas = []
    own = {name: tensor.clone() for name, tensor in weights(model).items()}
    for uses in ([first], [second], [first, second]):
        patcher.apply(uses)
        deltas.append({name: tensor - own[name] for name, tensor in weights(model).items()})
    for name in own:
        summed = deltas[0][name] + deltas[1][name]
        assert torch.allclose(deltas[2][name], summed, atol=1e-5), name
    one_way = picture(model)
    patcher.restore()
    patcher.apply([second, first])
    assert picture(model) == one_way
    patcher.restore()


def test_named_twice_acts_with_the_sum(models: Callable[[str], Model], tmp_path: Path) -> None:
    model = models("sd15")
    patcher = LoraPatcher(model)
    use = lora(tmp_path / "a.safetensors")
    patcher.apply([at(use, 0.8)])
    once = {name: tensor.clone() for name, tensor in weights(model).items()}
    patcher.apply([at(use, 0.3), at(use, 0.5)])
    twice = weights(model)
    assert all(torch.allclose(once[name], twice[name], atol=1e-5) for name in once)
    patcher.restore()


def test_half_precision_models_round_once(tmp_path: Path) -> None:
    path = make_model.checkpoint(tmp_path / "m.safetensors", "sd15", tiny=True)
    model = load_model("m", path, "unknown", CPU, lambda part: None, dtype=torch.float16)
    uses = [lora(tmp_path / f"{seed}.safetensors", seed=seed) for seed in (1, 2)]
    own = model.unet.get_submodule(Q).weight.detach().float()
    added = torch.zeros_like(own)
    for use in uses:
        file = {name: tensor.float() for name, tensor in load_file(use.path).items()}
        stem = Q_IN_FILE["sd15"]
        product = file[f"{stem}.lora_up.weight"] @ file[f"{stem}.lora_down.weight"]
        added += product * (file[f"{stem}.alpha"] / 8)
    LoraPatcher(model).apply(uses)
    found = model.unet.get_submodule(Q).weight
    assert found.dtype == torch.float16
    off = (found.float() - (own + added)).abs() / (own + added).abs().clamp(min=1e-3)
    assert off.max() < 2**-10  # half a unit of fp16's last place is 2^-11


def test_what_is_in_force_is_not_computed_again_unless_the_file_changed(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sd15")
    patcher = LoraPatcher(model)
    told: list[tuple[int, int]] = []

    def tell(done: int, of: int) -> None:
        told.append((done, of))

    use = lora(tmp_path / "a.safetensors", seed=1)
    patcher.apply([use], tell)
    count = told[-1][1]
    assert told == [(done, count) for done in range(count + 1)]
    told.clear()
    patcher.apply([use], tell)
    assert not told
    first = picture(model)
    lora(tmp_path / "new.safetensors", seed=2)
    (tmp_path / "new.safetensors").replace(use.path)
    patcher.apply([use], tell)
    assert told and picture(model) != first
    patcher.restore()


def test_cancelled_half_way_the_model_is_its_own(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sd15")
    before = weights(model)
    patcher = LoraPatcher(model)

    class Stop(Exception):
        pass

    def tell(done: int, of: int) -> None:
        if done == of // 2:
            raise Stop

    with pytest.raises(Stop):
        patcher.apply([lora(tmp_path / "a.safetensors")], tell)
    assert same(before, weights(model))


def test_a_lora_of_another_family_is_refused(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sd15")
    before = weights(model)
    other = lora(tmp_path / "sdxl.safetensors", "sdxl")
    full_size = LoraUse("full", make_model.lora(tmp_path / "full.safetensors", "sd15"))
    for use in (other, full_size):
        with pytest.raises(LoraError, match=f"“{use.name}” does not fit “sd15”: it was made for"):
            LoraPatcher(model).apply([use])
        assert same(before, weights(model))


def renamed(use: LoraUse, path: Path, change: Callable[[str], str]) -> LoraUse:
    save_file({change(name): tensor for name, tensor in load_file(use.path).items()}, path)
    return LoraUse(path.stem, path)


def test_names_that_the_model_lacks_are_counted_and_none_at_all_is_refused(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sd15")
    patcher = LoraPatcher(model)
    use = lora(tmp_path / "a.safetensors")
    few = renamed(use, tmp_path / "few.safetensors", lambda key: key.replace("to_q", "to_x"))
    (match,) = patcher.apply([few])
    assert 0 < match.matched < match.modules
    assert len(match.left_out) == match.modules - match.matched
    assert match.said.startswith(f"LoRA few: {match.matched} of {match.modules} modules fit")
    assert "to_x" in match.said
    before = weights(model)
    none = renamed(use, tmp_path / "none.safetensors", lambda key: f"odd_{key}")
    with pytest.raises(LoraError, match="“none” fits nothing in “sd15”"):
        patcher.apply([none])
    unknown = renamed(use, tmp_path / "unknown.safetensors", lambda key: f"{key}_of_mars")
    with pytest.raises(LoraError, match="“unknown” holds nothing that is understood here"):
        patcher.apply([unknown])
    patcher.restore()
    assert not same(before, weights(model))


def test_files_that_cannot_be_read_are_said(models: Callable[[str], Model], tmp_path: Path) -> None:
    patcher = LoraPatcher(models("sd15"))
    use = lora(tmp_path / "a.safetensors")
    cut, junk = tmp_path / "cut.safetensors", tmp_path / "junk.pt"
    cut.write_bytes(use.path.read_bytes()[:-100])
    junk.write_bytes(b"\x80\x02junk")
    for path in (cut, tmp_path / "gone.safetensors", junk):
        with pytest.raises(LoraError, match=f"^The LoRA “{path.stem}” cannot be read: "):
            patcher.apply([LoraUse(path.stem, path)])


def test_a_lora_whose_training_failed_is_refused(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sd15")
    before = weights(model)
    tensors = load_file(lora(tmp_path / "a.safetensors").path)
    tensors[f"{Q_IN_FILE['sd15']}.lora_up.weight"][0, 0] = torch.nan
    save_file(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(LoraError, match=f"not numbers .in {Q_IN_FILE['sd15']}"):
        LoraPatcher(model).apply([LoraUse("nan", tmp_path / "nan.safetensors")])
    assert same(before, weights(model))


def test_a_pickle_does_the_same_as_its_safetensors_version(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    model = models("sd15")
    patcher = LoraPatcher(model)
    use = lora(tmp_path / "a.safetensors")
    torch.save({"state_dict": load_file(use.path)}, tmp_path / "a.pt")
    patcher.apply([use])
    first = {name: tensor.clone() for name, tensor in weights(model).items()}
    patcher.apply([LoraUse("a", tmp_path / "a.pt")])
    assert same(first, weights(model))
    patcher.restore()


@pytest.mark.parametrize("base", ["sd15", "sdxl"])
def test_embeddings_that_came_with_a_lora_may_be_named_while_it_is_in_force(
    models: Callable[[str], Model], tmp_path: Path, base: str
) -> None:
    model = models(base)
    widths = [one.config.hidden_size for one in model.text_encoders]
    tensors = load_file(lora(tmp_path / "plain.safetensors", base).path)
    names = ("string_to_param.*",) if base == "sd15" else ("clip_l", "clip_g")
    vectors = [torch.randn(3, width) for width in widths]
    for name, tensor in zip(names, vectors, strict=True):
        tensors[f"bundle_emb.ohwx.{name}"] = tensor
    tensors["bundle_emb.wrong.string_to_param.*"] = torch.zeros(2, 5)
    save_file(tensors, tmp_path / "with.safetensors")
    patcher = LoraPatcher(model)
    (match,) = patcher.apply([LoraUse("with", tmp_path / "with.safetensors", te=0, unet=0)])
    assert match.embeddings == ("ohwx",) and match.left_out == ("embedding wrong",)
    assert match.matched == match.modules
    assert list(patcher.embeddings) == ["ohwx"]
    assert all(map(torch.equal, patcher.embeddings["ohwx"], vectors))
    patcher.restore()
    assert patcher.embeddings == {}


def test_pefts_names_do_the_same_as_kohyas(models: Callable[[str], Model], tmp_path: Path) -> None:
    model = models("sd15")
    patcher = LoraPatcher(model)
    use = lora(tmp_path / "a.safetensors", rank=8)
    flat = {path.replace(".", "_"): path for path, _ in model.unet.named_modules()}
    text = {path.replace(".", "_"): path for path, _ in model.text_encoder.named_modules()}
    tensors = {}
    for key, tensor in load_file(use.path).items():
        stem, _, parameter = key.partition(".")
        if parameter == "alpha":
            continue
        name = parameter.replace("lora_down", "lora_A").replace("lora_up", "lora_B")
        if stem.startswith("lora_unet_"):
            tensors[f"unet.{flat[stem.removeprefix('lora_unet_')]}.{name}"] = tensor
        else:
            path = text[stem.removeprefix("lora_te_text_model_")]
            tensors[f"text_encoder.text_model.{path}.{name}"] = tensor
    adapter = '{"unet.lora_alpha": 4, "unet.r": 8, "text_encoder.lora_alpha": 4}'
    save_file(tensors, tmp_path / "peft.safetensors", {"lora_adapter_metadata": adapter})
    patcher.apply([use])
    kohya = {name: tensor.clone() for name, tensor in weights(model).items()}
    (match,) = patcher.apply([LoraUse("peft", tmp_path / "peft.safetensors")])
    assert match.left_out == ()
    assert same(kohya, weights(model))
    patcher.restore()


@pytest.mark.slow
def test_a_compiled_unet_goes_on_without_being_compiled_again(
    models: Callable[[str], Model], tmp_path: Path
) -> None:
    from torch._dynamo.utils import counters

    model = models("sd15")
    compiled = torch.compile(model.unet, backend="eager")
    latents, context = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 64)

    def call(network: torch.nn.Module) -> Tensor:
        with torch.inference_mode():
            return network(latents, torch.tensor(5.0), context).sample

    plain = call(compiled)
    graphs = counters["stats"]["unique_graphs"]
    patcher = LoraPatcher(model)
    patcher.apply([lora(tmp_path / "a.safetensors")])
    with_it = call(compiled)
    assert torch.equal(with_it, call(model.unet)) and not torch.equal(with_it, plain)
    patcher.restore()
    assert torch.equal(call(compiled), plain)
    assert counters["stats"]["unique_graphs"] == graphs > 0
