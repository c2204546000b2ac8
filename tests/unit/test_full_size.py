"""A file of the full size of SD 1.5: views of the file, little memory of its own, a picture."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from bench import make_model
from tests.program import REPOSITORY, Program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LOAD = """
import json, sys, time
from pathlib import Path
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer
from sdtui.backend.monitor import anonymous_bytes
from sdtui.diffusion.load import load_model
path = Path(sys.argv[1])
before, started = anonymous_bytes(), time.perf_counter()
model = load_model("a", path, "", torch.device("cpu"), lambda part: None, dtype=torch.float16)
print(json.dumps({"seconds": time.perf_counter() - started, "family": model.family,
                  "share": (anonymous_bytes() - before) / path.stat().st_size}))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("full") / "full.safetensors"
    yield make_model.checkpoint(path, "sd15")
    path.unlink()


def test_loading_takes_little_memory_of_its_own(checkpoint: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(checkpoint)], capture_output=True, text=True,
        cwd=REPOSITORY, env=Program(checkpoint.parent).environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"full SD 1.5: {found['seconds']:.1f} s, {100 * found['share']:.1f} % anonymous memory")
    assert found["family"] == "sd15"
    assert found["share"] <= 0.10


def test_it_draws(checkpoint: Path, home: Path) -> None:
    folder = home / "models" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "full.safetensors").symlink_to(checkpoint)
    words = ("checkpoint=full", "steps=1", "sampler=Euler", "width=256", "height=256", "seed=1")
    sets = [part for word in words for part in ("--set", word)]
    child = Program(home).start("generate", "a cat", "--local", "--json", *sets)
    out, err = child.communicate(timeout=1000)  # 4 GB are cast to fp32 on a busy machine
    assert child.returncode == 0, err
    told = json.loads(out)
    with Image.open(told["images"][0]["path"]) as image:
        assert image.size == (256, 256)
        assert len(set(image.convert("L").getdata())) > 16
    assert "Model: full" in told["images"][0]["infotext"]
