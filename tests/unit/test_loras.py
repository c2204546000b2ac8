"""LoRA files by the names that prompts and pictures give them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench import make_model
from sdtui.library import catalog, hashes, loras
from sdtui.library.imports import read_infotext
from sdtui.library.places import Places, find_places


@pytest.fixture
def places(home: Path) -> Places:
    (home / "models" / "loras").mkdir(parents=True)
    return find_places(home).prepare()


def lora(places: Places, name: str, folder: str = "loras", seed: int = 3, **metadata: str) -> Path:
    path = places.models / folder / f"{name}.safetensors"
    return make_model.lora(path, "sd15", tiny=True, rank=1, seed=seed, metadata=metadata or None)


def meant(places: Places, name: str) -> Path | None:
    found = loras.find(places, catalog.models(places, "lora"), name)
    return found.path if found else None


def refused(places: Places, prompt: str) -> str:
    with pytest.raises(loras.LoraProblem) as caught:
        loras.chosen(places, [prompt])
    return str(caught.value)


def test_files_in_every_folder_and_below(places: Places) -> None:
    paths = [lora(places, "a"), lora(places, "b", "Lora"), lora(places, "c", "LyCORIS"),
             lora(places, "d", "loras/anime")]  # fmt: skip
    (places.models / "loras" / "again.safetensors").symlink_to(paths[1])
    assert [meant(places, name) for name in "abcd"] == paths
    assert meant(places, "anime/d") == paths[3]
    assert meant(places, "d.safetensors") == paths[3]
    assert meant(places, "D") == paths[3]
    assert meant(places, "e") is None
    assert len(catalog.models(places, "lora")) == 4  # a file reached twice is one


def test_two_files_of_one_name_are_told_apart_by_their_folder(places: Places) -> None:
    first, second = lora(places, "x", "loras/one"), lora(places, "x", "loras/two", seed=4)
    assert meant(places, "x") == first
    assert meant(places, "one/x") == first
    assert meant(places, "two/x") == second


def test_a_files_name_comes_before_an_alias_and_shared_aliases_mean_nothing(
    places: Places,
) -> None:
    first = lora(places, "file", ss_output_name="other")
    second = lora(places, "other", seed=4, ss_output_name="trained")
    assert meant(places, "trained") == second
    assert meant(places, "other") == second
    lora(places, "third", seed=5, ss_output_name="trained")
    lora(places, "fourth", seed=6, ss_output_name="None")
    assert meant(places, "trained") is None
    assert meant(places, "None") is None
    assert meant(places, "file") == first


def test_by_hash_where_it_is_known(places: Places) -> None:
    path = lora(places, "a")
    told = lora(places, "b", seed=4, sshs_model_hash="AB" * 32)
    assert meant(places, "abababababab") == told
    digest = hashes.data_hash(places, path)
    assert meant(places, digest[:12]) == meant(places, digest[:12].upper()) == path
    assert meant(places, hashes.model_hash(places, path)[:10]) == path
    assert meant(places, digest[:7]) is None


def test_a_hash_of_nothing_is_not_believed(places: Places) -> None:
    path = lora(places, "a", sshs_model_hash=hashes.OF_NOTHING)
    assert hashes.known_data_hash(places, path) is None
    plain = lora(places, "plain")
    assert hashes.data_hash(places, path) == hashes.data_hash(places, plain) != hashes.OF_NOTHING


def test_weights_come_with_the_file(places: Places) -> None:
    path = lora(places, "hat")
    prompt = "1girl <lora:hat:0.5:-0.25> <lyco:hat:unet=2> x"
    (one, two), none = loras.chosen(places, [prompt, "a <hypernet:x:1> b"])
    assert (one.file.path, one.tag.te, one.tag.unet) == (path, 0.5, -0.25)
    assert (two.tag.te, two.tag.unet) == (1.0, 2.0)
    assert none == []


def test_what_cannot_be_used_is_said(places: Places) -> None:
    assert refused(places, "<lora:hat:1>") == (
        f"there is no LoRA “hat”; put its file into {places.models}/loras"
    )
    lora(places, "sunhat", ss_output_name="bonnet")
    assert refused(places, "<lora:sunhet:1>") == (
        "there is no LoRA “sunhet”; did you mean “sunhat”?"
    )
    assert "did you mean “bonnet”?" in refused(places, "<lora:bonnnet:1>")
    assert "needs a number for its weight" in refused(places, "<lora:sunhat:many>")
    make_model.vae(places.models / "loras" / "vae.safetensors", tiny=True)
    assert "vae.safetensors is not a lora" in refused(places, "<lora:vae:1>")
    (places.models / "loras" / "cut.safetensors").write_bytes(b"\x50\x00\x00\x00\x00\x00\x00\x00{")
    assert "cut.safetensors" in refused(places, "<lora:cut:1>")


def test_another_family_is_refused_by_the_header_alone(places: Places) -> None:
    folder = places.models / "loras"
    make_model.lora(folder / "xl.safetensors", "sdxl", hollow=True)
    make_model.lora(folder / "fifteen.safetensors", "sd15", hollow=True)
    xl, fifteen = loras.chosen(places, ["<lora:xl:1>", "<lora:fifteen:1>"])
    loras.check_base([*xl], "sdxl", "m")
    loras.check_base([*fifteen], "sd15", "m")
    loras.check_base([*xl, *fifteen], "unknown", "m")
    with pytest.raises(loras.LoraProblem) as caught:
        loras.check_base(xl, "sd15", "dreamshaper")
    assert str(caught.value) == (
        "the LoRA “xl” is made for SDXL, but “dreamshaper” is an SD 1.5 model; "
        "choose another LoRA or another checkpoint"
    )
    with pytest.raises(loras.LoraProblem, match=r"made for SD 1\.5, but “demo” is a demo model"):
        loras.check_base(fifteen, "demo", "demo")


def said(
    places: Places, prompt: str, hashes: str, key: str = "Lora hashes"
) -> tuple[object, dict[str, str]]:
    value = f'"{hashes}"' if key == "Lora hashes" else hashes
    text = f"{prompt}\nSteps: 20, Seed: 5, Size: 64x64, {key}: {value}, Version: x"
    imported = read_infotext(places, text)
    why = {one.value: one.why for one in imported.ignored if one.key == "LoRA"}
    return imported.values["prompt"], why


def test_a_pictures_loras_are_found_by_their_hash(places: Places) -> None:
    path = lora(places, "hat v2", sshs_model_hash="12" * 32)
    shutil.copy(path, places.models / "loras" / "zz.safetensors")
    prompt = "a <lora:hat:0.8> b <lora:shoe:1>"
    assert said(places, prompt, f"hat: {'12' * 6}, shoe: 0123456789ab") == (
        "a <lora:hat v2:0.8> b <lora:shoe:1>", {"shoe": "there is no such LoRA here"},
    )  # fmt: skip
    assert said(places, "<lora:hat v2:1>", "hat v2: ba9876543210") == (
        "<lora:hat v2:1>",
        {"hat v2": "the LoRA “hat v2” here has the hash 121212121212: another version of it"},
    )
    assert said(places, "<lora:hat v2:1>", f"hat v2: {'12' * 6}") == ("<lora:hat v2:1>", {})
    civitai = '{"model": "0123456789", "lora:hat": "1212121212"}'
    assert said(places, "<lora:hat:1>", civitai, "Hashes") == ("<lora:hat v2:1>", {})
    assert said(places, "<lora:hat:1>", "") == (
        "<lora:hat:1>", {"hat": "there is no such LoRA here; the nearest is “hat v2”"},
    )  # fmt: skip


def test_hashes_are_written_as_a1111_writes_them() -> None:
    written = loras.hashes_written({"a:b,c": "0123456789ab", "d": "ba9876543210"})
    assert written == "abc: 0123456789ab, d: ba9876543210"
