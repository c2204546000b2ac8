"""The shipped model is what the card says, and the recipe's stages resume."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import nn

from sdtui.demo import build, dataset, judge, model_dir, text_stage, vae_grow, vae_stage
from sdtui.demo.muon import Both, orthogonal
from sdtui.demo.stage import Ema, Stage


def test_files_are_small():
    sizes = [path.stat().st_size for path in model_dir().rglob("*") if path.is_file()]
    assert max(sizes) < 16e6
    assert sum(sizes) + judge.WEIGHTS.stat().st_size <= 25e6


def test_the_stock_pipeline_draws_what_is_said():
    torch.set_num_threads(1)
    pipeline = StableDiffusionPipeline.from_pretrained(model_dir(), local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    said = "1girl, long hair, red hair, blue eyes, smile, green dress, yellow background"
    size = 16 * pipeline.vae_scale_factor
    images = pipeline(
        said, num_inference_steps=20, guidance_scale=4.0, width=size, height=size,
        num_images_per_prompt=2, generator=torch.Generator().manual_seed(1),
    ).images  # fmt: skip
    for words in judge.look(judge.load(), images):
        assert (words["hair"], words["outfit"], words["background"]) == ("red", "green", "yellow")
        assert words["heads"] == "one"


@pytest.mark.parametrize("name", ["test", "maid"])
def test_the_vae_keeps_drawings(name):
    vae = AutoencoderKL.from_pretrained(model_dir() / "vae").eval()
    size = 16 * 2 ** (len(vae.config.block_out_channels) - 1)
    assert vae_stage.psnr(name, vae, size, 16) >= 28


def test_latents_are_white_at_the_usual_scaling():
    vae = AutoencoderKL.from_pretrained(model_dir() / "vae").eval()
    x = vae_stage.to_tensor(dataset.pixels("test", range(32)))
    with torch.no_grad():
        z = vae.encode(x).latent_dist.mean * 0.18215
    assert vae.config.scaling_factor == 0.18215
    covariance = torch.cov(z.permute(1, 0, 2, 3).flatten(1))
    assert (covariance - torch.eye(4)).abs().max() < 0.2
    assert z.mean((0, 2, 3)).abs().max() < 0.2


def small_vae():
    torch.manual_seed(0)
    return vae_stage.new_vae(vae_stage.CHANNELS, 64).eval()


def test_whitening_changes_latents_but_not_pictures():
    vae, rows = small_vae(), dataset.pixels("test", range(8))
    small = vae_stage.half_size(rows)
    x = vae_stage.to_tensor(small)
    with torch.no_grad():
        before = vae.decode(vae.encode(x).latent_dist.mean).sample
        vae_stage.whiten(vae, small)
        z = vae.encode(x).latent_dist.mean
        after = vae.decode(z).sample
    assert (before - after).abs().max() < 1e-3
    assert ((z * 0.18215).permute(1, 0, 2, 3).flatten(1).std(1) - 1).abs().max() < 0.05


def test_a_grown_vae_begins_as_the_small_one_on_doubled_pictures():
    small = small_vae()
    grown = vae_grow.grow(small).eval()
    features = []
    for vae in (small, grown):
        last = vae.decoder.conv_norm_out
        last.register_forward_pre_hook(lambda _, given: features.append(given[0]))
        with torch.no_grad():
            picture = vae.decode(torch.ones(1, 4, 16, 16)).sample
    assert picture.shape == (1, 3, 128, 128)
    doubled = nn.functional.interpolate(features[0], scale_factor=2)
    assert torch.allclose(features[1], doubled, atol=1e-4)


def test_the_text_stage_labels_what_has_been_stated_so_far():
    text = "girl , long hair , red hair , blue eyes , white dress , polka dot background"
    words = text.split()
    rows = text_stage.stated(words)
    index = {name: number for number, name in enumerate(text_stage.STATED)}

    def at(word, name):
        label = rows[word][index[name]]
        return text_stage.STATED[name][label - 1] if label else None

    assert at(1, "style") is None and at(3, "style") == "long hair"
    assert at(5, "hair") is None and at(6, "hair") == "red"
    assert at(-1, "eyes") == "blue" and at(-1, "outfit") == "white"
    assert at(-1, "clothing") == "dress" and at(-1, "pattern") == "polka dot"
    assert at(-1, "background") is None


def test_an_orthogonal_update_keeps_directions_and_evens_sizes():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(24, 40)))
    assert values.max() < 1.4 and values.min() > 0.5


def a_stage(tmp_path, budget_s=60.0):
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    optimizer, ema = Both(module, 0.02, 1e-3), Ema(list(module.parameters()))
    parts = {"module": module, "optimizer": optimizer, "ema": ema}
    return Stage("toy", tmp_path, budget_s, parts), module, optimizer, ema


def some_steps(stage, module, optimizer, ema, count):
    for step in stage.steps():
        module(stage.normal((4, 6))).square().mean().backward()
        optimizer.step()
        ema.update()
        stage.seen += 4
        if step == count - 1:
            return


def test_a_stopped_stage_goes_on_exactly(tmp_path):
    whole = a_stage(tmp_path / "whole")
    some_steps(*whole, 6)
    first = a_stage(tmp_path / "parts")
    some_steps(*first, 3)
    first[0].save()
    second = a_stage(tmp_path / "parts")
    assert second[0].seen == 12
    some_steps(*second, 3)
    for a, b in zip(whole[1].parameters(), second[1].parameters(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(whole[3].average, second[3].average, strict=True):
        assert torch.equal(a, b)


def test_a_stage_of_no_budget_only_loads(tmp_path):
    stage, *_ = a_stage(tmp_path, budget_s=0)
    assert list(stage.steps()) == []
    assert not stage.path.exists()


def test_the_recipe_refuses_an_unknown_stage(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["build", "paint"])
    with pytest.raises(SystemExit):
        build.main()
    assert "paint" in capsys.readouterr().err


def test_latent_rows_belong_to_pictures(tmp_path):
    from sdtui.demo import unet_stage

    (tmp_path / "pictures").mkdir()
    np.save(tmp_path / "pictures" / "train-128-000.npy", dataset.pixels("train", range(3)))
    unet_stage.encode(tmp_path, small_vae())
    latents = unet_stage.load_latents(tmp_path, 128)
    assert latents.shape == (3, 4, 16, 16)
    assert not torch.equal(latents[0], latents[1])
