"""What is offered: our folder, and those of A1111, Forge and ComfyUI in place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import make_model
from sdtui.library import catalog, kind_cache, model_folders
from sdtui.library.config import ConfigError, add_folder, config_file, read_config
from sdtui.library.places import Places, find_places


@pytest.fixture
def places(home: Path) -> Places:
    return find_places(home / "home").prepare()


def put(path: Path, base: str = "sd15") -> Path:
    return make_model.checkpoint(path, base, hollow=True)


def names(places: Places) -> list[str]:
    return [one.name for one in catalog.checkpoints(places)]


def test_our_own_folders(places: Places) -> None:
    put(places.models / "loose.safetensors")
    put(places.models / "checkpoints" / "anime" / "deep.safetensors", "sdxl")
    put(places.models / "Stable-diffusion" / "old.safetensors")
    assert names(places) == ["demo", "deep", "loose", "old"]
    deep = catalog.find(places, "deep.safetensors")
    assert (deep.family, deep.native_size, deep.said) == ("sdxl", 1024, "SDXL checkpoint")


@pytest.mark.parametrize("asked", ["deep", "anime/deep", "deep [0123456789]", "deep.safetensors"])
def test_a_checkpoint_is_found_by_what_a1111_calls_it(places: Places, asked: str) -> None:
    path = put(places.models / "checkpoints" / "anime" / "deep.safetensors")
    assert catalog.find(places, asked).path == path


def test_an_unknown_name_says_the_nearest(places: Places) -> None:
    put(places.models / "dreamy.safetensors")
    with pytest.raises(catalog.UnknownCheckpoint, match="did you mean “dreamy”"):
        catalog.find(places, "dreamie")


def test_the_same_name_in_two_folders_is_told_apart(places: Places) -> None:
    one = put(places.models / "checkpoints" / "a" / "same.safetensors")
    two = put(places.models / "checkpoints" / "b" / "same.safetensors")
    found = {entry.path: entry.name for entry in catalog.checkpoints(places)}
    assert (found[one], found[two]) == ("same", "b/same")
    assert catalog.find(places, "b/same").path == two


def test_a_loose_lora_is_no_checkpoint_and_a_misplaced_one_says_what_it_is(places: Places) -> None:
    make_model.lora(places.models / "style.safetensors", "sdxl", hollow=True)
    make_model.lora(places.models / "checkpoints" / "wrong.safetensors", "sdxl", hollow=True)
    assert names(places) == ["demo", "wrong"]
    assert catalog.find(places, "wrong").problem == (
        "wrong.safetensors is not a checkpoint: SDXL LoRA"
    )
    assert [one.name for one in catalog.models(places, "lora")] == ["style"]


def a1111(folder: Path) -> None:
    put(folder / "models" / "Stable-diffusion" / "sub" / "theirs.safetensors")
    make_model.lora(folder / "models" / "Lora" / "style.safetensors", "sd15", hollow=True)
    make_model.vae(folder / "models" / "VAE" / "kl.safetensors", hollow=True)
    make_model.embedding(folder / "embeddings" / "bad-hands.safetensors", "sd15")


def comfy(folder: Path) -> None:
    put(folder / "models" / "checkpoints" / "theirs.safetensors")
    make_model.lora(folder / "models" / "loras" / "style.safetensors", "sd15", hollow=True)
    make_model.vae(folder / "models" / "vae" / "kl.safetensors", hollow=True)
    make_model.embedding(folder / "models" / "embeddings" / "bad-hands.safetensors", "sd15")


@pytest.mark.parametrize(("key", "make"), [("a1111", a1111), ("comfy", comfy)])
def test_folders_of_other_programs_are_read_in_place(
    places: Places, home: Path, key: str, make: Callable[[Path], None]
) -> None:
    folder = home / "their folder's"
    make(folder)
    before = sorted(folder.rglob("*"))
    add_folder(places, key, folder)
    assert names(places) == ["demo", "theirs"]
    for kind, name in (("lora", "style"), ("vae", "kl"), ("embedding", "bad-hands")):
        assert [one.name for one in catalog.models(places, kind)] == [name]
        assert catalog.find_model(places, kind, f"{name}.safetensors").problem == ""
    assert sorted(folder.rglob("*")) == before


def test_extra_model_paths_of_comfyui(places: Places, home: Path) -> None:
    a1111(home / "webui")
    paths = home / "comfy" / "extra_model_paths.yaml"
    paths.parent.mkdir()
    paths.write_text(
        f"a111:\n    base_path: {home}/webui/\n    checkpoints: models/Stable-diffusion\n"
        "    vae: models/VAE\n    loras: |\n         models/Lora\n         models/LyCORIS\n"
        "    embeddings: embeddings\n    controlnet: models/ControlNet\n"
    )
    add_folder(places, "comfy", home / "comfy")
    assert names(places) == ["demo", "theirs"]
    assert [one.name for one in catalog.models(places, "lora")] == ["style"]
    config_file(places).unlink()
    add_folder(places, "comfy", paths)  # the file itself will do
    assert names(places) == ["demo", "theirs"]


def test_symlinks_are_listed_once_and_circles_end(places: Places, home: Path) -> None:
    folder = places.models / "checkpoints"
    put(folder / "real.safetensors")
    (folder / "zz-link.safetensors").symlink_to(folder / "real.safetensors")
    (folder / "circle").symlink_to(folder)
    (folder / "nowhere.safetensors").symlink_to(home / "nothing")
    put(home / "elsewhere" / "far.safetensors")
    (folder / "linked").symlink_to(home / "elsewhere")
    assert names(places) == ["demo", "far", "real"]


def test_hidden_and_half_downloaded_files_are_not_offered(places: Places) -> None:
    folder = places.models / "checkpoints"
    put(folder / ".hidden.safetensors")
    (folder / "a.safetensors.part").write_bytes(b"x")
    (folder / "preview.png").write_bytes(b"x")
    assert names(places) == ["demo"]


def test_config_is_read_strictly_and_keeps_what_people_wrote(places: Places, home: Path) -> None:
    file = config_file(places)
    file.write_text("# mine\nmodels_in_memory_gb: 12  # two of them\na1111:\n  - /data/webui\n")
    add_folder(places, "a1111", home)
    add_folder(places, "a1111", home)
    add_folder(places, "comfy", home)
    text = file.read_text()
    assert text.startswith("# mine\nmodels_in_memory_gb: 12  # two of them\n")
    config = read_config(places)
    assert set(config.a1111) == {str(home), "/data/webui"}
    assert (config.comfy, config.memory_bytes) == ((str(home),), 12 << 30)


@pytest.mark.parametrize(
    ("text", "words"),
    [("a111: /x\n", "unknown key “a111”; did you mean “a1111”"), ("a1111: 3\n", "list of folders"),
     ("models_in_memory_gb: much\n", "a number from 0 up"), ("- 1\n", "name: value"),
     ("models_in_memory_gb: .nan\n", "a number from 0 up")],
)  # fmt: skip
def test_a_wrong_config_is_said(places: Places, text: str, words: str) -> None:
    config_file(places).write_text(text)
    with pytest.raises(ConfigError, match=words):
        catalog.checkpoints(places)


def test_a_folder_that_is_not_there(places: Places, home: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        add_folder(places, "comfy", home / "nothing")


def test_the_vae_beside_the_checkpoint_is_taken_by_itself(places: Places) -> None:
    path = put(places.models / "checkpoints" / "m.safetensors")
    kl = make_model.vae(places.models / "VAE" / "kl.safetensors", hollow=True)
    found = catalog.find(places, "m")
    assert catalog.vae_for(places, found, "Automatic") is None
    path.with_suffix(".json").write_text('{"vae": "kl.safetensors"}')
    assert catalog.vae_for(places, found, "Automatic") == kl
    beside = make_model.vae(path.with_name("m.vae.safetensors"), hollow=True)
    assert catalog.vae_for(places, found, "Automatic") == beside
    assert names(places) == ["demo", "m"]
    assert catalog.vae_for(places, found, "None") is None
    assert catalog.vae_for(places, found, "kl") == kl
    assert catalog.vae_for(places, found, "m") == path
    with pytest.raises(catalog.CatalogError, match="there is no VAE “kk”; did you mean “kl”"):
        catalog.vae_for(places, found, "kk")


@pytest.mark.parametrize(("v", "size"), [(True, 768), (False, 512)])
def test_sd2_has_two_sizes(places: Places, v: bool, size: int) -> None:
    make_model.checkpoint(places.models / "m.safetensors", "sd2", tiny=True, v_prediction=v)
    assert catalog.find(places, "m").native_size == size


def test_a_config_beside_the_checkpoint_says_v_prediction(places: Places) -> None:
    path = put(places.models / "m.safetensors")
    assert catalog.find(places, "m").kind.prediction == "epsilon"
    path.with_suffix(".yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert catalog.find(places, "m").kind.prediction == "v_prediction"


def test_a_changed_file_is_looked_at_again(places: Places) -> None:
    path = put(places.models / "m.safetensors")
    assert catalog.find(places, "m").family == "sd15"
    os.truncate(path, 5)
    assert "empty or cut off" in catalog.find(places, "m").problem


def test_what_is_known_of_a_file_is_kept_for_the_next_process(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(places.models / "m.safetensors", "sdxl")
    put(places.models / "other.safetensors")
    before = catalog.checkpoints(places)
    monkeypatch.setattr(kind_cache, "_known", {})  # as in a new process
    with monkeypatch.context() as context:
        context.setattr(kind_cache, "what_is", None)  # whoever reads a header now fails
        assert catalog.checkpoints(places) == before
    (places.cache / "model-kinds.json").write_text('{"rules": 1, "files": {"/x": [1]}}')
    monkeypatch.setattr(kind_cache, "_known", {})
    assert catalog.checkpoints(places) == before


def test_three_hundred_files_are_listed_in_a_moment(places: Places) -> None:
    for number in range(300):
        (places.models / "checkpoints" / f"{number}").mkdir(parents=True)
        (places.models / "checkpoints" / f"{number}" / "a.safetensors").write_bytes(b"x" * 64)
    assert len(model_folders.search(places, "checkpoint")) == 300
    assert len(names(places)) == 301
