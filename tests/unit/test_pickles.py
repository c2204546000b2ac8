"""Pickles: what they are is seen, what they carry is loaded, what they command is never done."""

from __future__ import annotations

import argparse
import os
import pickle
import struct
import time
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench import make_model
from sdtui.diffusion.load import LoadError, load_model
from sdtui.diffusion.pickled import pickled_tensors
from sdtui.formats.header import HeaderError
from sdtui.formats.model_kind import what_is
from sdtui.library import catalog
from sdtui.library.places import find_places
from sdtui.library.trust import trust


class Exploit:
    """A pickle of this runs a command when it is loaded carelessly."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("weights")
    return load_file(make_model.checkpoint(folder / "a.safetensors", "sd15", tiny=True))


def odd_objects() -> dict[str, object]:
    """What the first SD files and other trainers left in theirs."""
    return {
        "callbacks": {Exploit: 1}, "numpy": np.float64(3), "array": np.zeros(3),
        "options": argparse.Namespace(rate=1), "path": Path("/tmp"), "counts": defaultdict(int),
        "module": torch.nn.Linear(2, 2),
    }  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_checkpoints_in_pickles_load(
    home: Path, weights: dict[str, torch.Tensor], zipped: bool, nested: bool
) -> None:
    path = home / "a.ckpt"
    whole = {"state_dict": weights, "global_step": 7} if nested else weights
    torch.save(OrderedDict(whole), path, _use_new_zipfile_serialization=zipped)
    assert what_is(path).said == "SD 1.5 checkpoint, pickle"
    model = load_model("a", path, "", torch.device("cpu"), lambda part: None)
    name = "first_stage_model.decoder.conv_in.weight"
    assert torch.equal(model.vae.decoder.conv_in.weight, weights[name].float())


@pytest.mark.parametrize("v", [True, False])
def test_the_prediction_of_sd2_is_seen_in_pickles_too(home: Path, v: bool) -> None:
    made = make_model.checkpoint(home / "a.safetensors", "sd2", tiny=True, v_prediction=v)
    torch.save(load_file(made), home / "a.ckpt")
    model = load_model("a", home / "a.ckpt", "", torch.device("cpu"), lambda part: None)
    assert model.prediction_type == ("v_prediction" if v else "epsilon")


@pytest.mark.parametrize("zipped", [True, False])
def test_odd_objects_are_left_out_and_commands_are_not_run(home: Path, zipped: bool) -> None:
    path, proof = home / "a.ckpt", home / "proof"
    torch.save(
        {"state_dict": {"v": torch.arange(3.0)}, **odd_objects(), "bad": Exploit(f"touch {proof}")},
        path, _use_new_zipfile_serialization=zipped,
    )  # fmt: skip
    assert what_is(path).pickle
    assert torch.equal(pickled_tensors(path)["v"], torch.arange(3.0))
    assert not proof.exists()


def test_a_pickle_that_is_nothing_but_a_command(home: Path) -> None:
    path, proof = home / "a.pt", home / "proof"
    path.write_bytes(pickle.dumps(Exploit(f"touch {proof}")))
    with pytest.raises(HeaderError, match="not a model file"):
        what_is(path)
    with pytest.raises(LoadError):
        load_model("a", path, "", torch.device("cpu"), lambda part: None)
    assert not proof.exists()


def test_embeddings_and_upscalers_in_pickles(home: Path) -> None:
    torch.save({"string_to_param": {"*": torch.zeros(4, 768)}, "name": "x"}, home / "e.pt")
    assert what_is(home / "e.pt").said == "SD 1.5 embedding, pickle"
    names = ("conv_first.weight", "body.0.rdb1.conv1.weight")
    torch.save({"params_ema": {name: torch.zeros(4, 3, 3, 3) for name in names}}, home / "u.pth")
    assert what_is(home / "u.pth").said == "upscaler, pickle"


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_modules_and_old_embeddings_give_their_tensors(home: Path, zipped: bool) -> None:
    inner = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    module = torch.nn.Sequential(OrderedDict(conv_first=torch.nn.Conv2d(3, 4, 3), body=inner))
    torch.save(module, home / "u.pth", _use_new_zipfile_serialization=zipped)
    assert what_is(home / "u.pth").said == "upscaler, pickle"
    read = pickled_tensors(home / "u.pth")
    assert read.keys() == module.state_dict().keys()
    assert all(torch.equal(read[name], one) for name, one in module.state_dict().items())
    old = {"string_to_param": torch.nn.ParameterDict({"*": torch.ones(2, 768)}), "name": "x"}
    torch.save(old, home / "e.pt", _use_new_zipfile_serialization=zipped)
    assert what_is(home / "e.pt").said == "SD 1.5 embedding, pickle"
    assert torch.equal(pickled_tensors(home / "e.pt")["string_to_param.*"], torch.ones(2, 768))


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x80\x02]r" + struct.pack("<I", 0x7FFFFFF0) + b".",  # an index that asks for 32 GB
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",  # a bytearray of a terabyte
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",  # bytes of a terabyte
        b"\x80\x02" + b"(" * 100_000 + b".",
    ],
)
def test_bombs_are_refused_quickly(home: Path, bomb: bytes) -> None:
    path = home / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", bomb)
    started = time.process_time()
    with pytest.raises(HeaderError):
        what_is(path)
    assert time.process_time() - started < 2


def test_circles_end(home: Path) -> None:
    round_again: dict[str, object] = {"v": torch.zeros(2)}
    for name in ("state_dict", "params", "params_ema", "model"):
        round_again[name] = round_again
    torch.save(round_again, home / "a.ckpt")
    assert what_is(home / "a.ckpt").pickle
    assert pickled_tensors(home / "a.ckpt").keys() == {"v"}


def test_instructions_that_inflate_are_refused(home: Path) -> None:
    path = home / "a.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * (64 << 20))
    with pytest.raises(HeaderError, match="64 MB of instructions"):
        what_is(path)


def test_a_pickle_is_asked_for_once(home: Path, weights: dict[str, torch.Tensor]) -> None:
    places = find_places(home)
    path = home / "models" / "checkpoints" / "my model.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(weights, path)
    problem = catalog.find(places, "my model").problem
    assert "is a pickle" in problem and f"sdtui trust '{path}'" in problem
    trust(places, path)
    assert catalog.find(places, "my model.ckpt").problem == ""
    torch.save({**weights, "more": torch.zeros(1)}, path)
    assert "is a pickle" in catalog.find(places, "my model").problem
