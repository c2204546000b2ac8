"""Python, the libraries, torch and the graphics card."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from sdtui.library.places import Places

from . import Row

PYTHONS = ((3, 11), (3, 13))
TORCH_S = 60.0
"""From a cold, slow disk `import torch` takes half a minute."""
GIB = 1 << 30

ASK_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "gpus": torch.cuda.device_count() if cuda else 0,
    "bf16": cuda and torch.cuda.is_bf16_supported(including_emulation=False),
    "threads": torch.get_num_threads(),
}))
"""


def python(_places: Places) -> Iterator[Row]:
    text = f"{platform.python_version()}, {sys.executable}"
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        yield Row("python", "ok", text)
    else:
        wanted = " to ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        yield Row("python", "problem", text, (f"Python {wanted} is supported",))


def libraries(_places: Places) -> Iterator[Row]:
    """Whether every library that sdtui names is there in a version that it can use."""
    from packaging.requirements import Requirement

    wrong: list[str] = []
    wanted = [Requirement(line) for line in metadata.requires("sdtui") or []]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    for one in wanted:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(version, prereleases=True):
            wrong.append(f"{one.name} {version} is installed, {one.specifier} is needed")
    if wrong:
        yield Row("libraries", "problem", "; ".join(wrong), ("Run the README's first line again",))
    else:
        yield Row("libraries", "ok", f"{len(wanted)} as required")


class TorchQuestion:
    """Asks torch in a process of its own: it takes seconds and must not be loaded in this one."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-c", ASK_TORCH],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def rows(self, _places: Places) -> Iterator[Row]:
        """torch, the graphics card and the precision. Waits for the answer."""
        try:
            said, complaint = self._child.communicate(timeout=TORCH_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            yield Row("torch", "problem", f"does not answer within {TORCH_S:.0f} s",
                      ("Is the disk or the GPU driver hanging? See: dmesg | tail",))  # fmt: skip
            return
        if self._child.returncode:
            last = (complaint.strip().splitlines() or [f"code {self._child.returncode}"])[-1]
            yield Row("torch", "problem", f"cannot be loaded: {last}",
                      ("Run the README's first line again",))  # fmt: skip
            return
        yield from torch_rows(json.loads(said.strip().splitlines()[-1]), nvidia())


def nvidia() -> dict[str, Any]:
    """What the driver says: {"driver", "cards": [{"name", "total_bytes", "free_bytes"}]}, or
    {"error"} if there is none that answers."""
    import pynvml as nvml

    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return {"error": str(error)}
    try:
        cards = []
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            name = str(nvml.nvmlDeviceGetName(handle))
            cards.append({"name": name, "total_bytes": memory.total, "free_bytes": memory.free})
        return {"driver": str(nvml.nvmlSystemGetDriverVersion()), "cards": cards}
    except nvml.NVMLError as error:
        return {"error": str(error)}
    finally:
        nvml.nvmlShutdown()


def torch_rows(torch: dict[str, Any], card: dict[str, Any]) -> Iterator[Row]:
    """Rows for what torch (ASK_TORCH) and the driver (`nvidia`) have said."""
    build = f"CUDA {torch['cuda']}" if torch["cuda"] else "CPU build"
    text = f"{torch['version']}, {build}"
    cards = card.get("cards", [])
    if cards and not torch["cuda"]:
        yield Row("torch", "problem", f"{text}: it cannot use the graphics card",
                  ("Install the CUDA build: pip install --force-reinstall torch "
                   "(without an index of CPU builds)",))  # fmt: skip
    elif cards and not torch["gpus"]:
        yield Row("torch", "problem", f"{text}: it does not see the graphics card",
                  (f"The driver ({card['driver']}) may be too old for CUDA {torch['cuda']}, or "
                   "CUDA_VISIBLE_DEVICES hides the card",))  # fmt: skip
    else:
        yield Row("torch", "ok", text)
    for one in cards:
        free, total = one["free_bytes"] / GIB, one["total_bytes"] / GIB
        text = f"{one['name']}, {free:.1f} of {total:.1f} GiB free, driver {card['driver']}"
        yield Row("gpu", "ok", text)
    if not cards:
        yield Row("gpu", "warning", f"no NVIDIA card answers ({card.get('error', 'none found')})",
                  (f"Pictures are made on the CPU with {torch['threads']} threads: the demo model "
                   "is quick, others take minutes",))  # fmt: skip
    elif torch["gpus"]:
        kind = "bf16" if torch["bf16"] else "fp16 (this card has no bf16 of its own)"
        yield Row("precision", "ok", kind)
