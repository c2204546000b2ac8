"""What the machine is doing, once a second while somebody looks.

GPU figures come from the driver (nvidia-ml-py) and are those of the whole device, other programs
included. A machine without such a counter gives None, never an error.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .protocol import Event, MonitorRead, MonitorReading

log = logging.getLogger(__name__)

INTERVAL_S = 1.0


class Monitor(threading.Thread):
    """Reports a MonitorRead every second while `wanted`."""

    def __init__(self, report: Callable[[Event], None], interval_s: float = INTERVAL_S) -> None:
        super().__init__(name="monitor", daemon=True)
        self._report, self._interval_s = report, interval_s
        self._wanted = threading.Event()
        self._stopped = False

    @property
    def wanted(self) -> bool:
        """Whether anybody looks."""
        return self._wanted.is_set()

    @wanted.setter
    def wanted(self, value: bool) -> None:
        self._wanted.set() if value else self._wanted.clear()

    def stop(self) -> None:
        """Report nothing more; the thread ends within a second and is not waited for."""
        self._stopped = True
        self._wanted.set()

    def run(self) -> None:
        probe = Probe()
        pause = threading.Event()
        while True:
            self._wanted.wait()
            if self._stopped:
                return
            self._report(MonitorRead(reading=probe.read()))
            pause.wait(self._interval_s)


class Probe:
    """One machine's counters."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        psutil.cpu_percent()  # the first call only sets the mark from which the next one counts
        self._nvml: Any = None
        self._gpu: Any = None
        self._open_gpu()

    def _open_gpu(self) -> None:
        try:
            import pynvml
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            self._gpu = _first_visible(pynvml)
            self._nvml = pynvml
        except (pynvml.NVMLError, ValueError) as error:
            log.info("no GPU figures: %s", error)

    def read(self) -> MonitorReading:
        memory = self._psutil.virtual_memory()
        own = {
            "ram_used_bytes": memory.total - memory.available,
            "ram_total_bytes": memory.total,
            "backend_rss_bytes": anonymous_bytes(),
            "cpu_percent": self._psutil.cpu_percent(),
        }
        if self._gpu is None:
            return MonitorReading(device="cpu", **own)
        nvml = self._nvml
        vram = self._ask(nvml.nvmlDeviceGetMemoryInfo)
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates)
        power_mw = self._ask(nvml.nvmlDeviceGetPowerUsage)
        temperature = self._ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU)
        return MonitorReading(
            device=str(self._ask(nvml.nvmlDeviceGetName) or "GPU"),
            vram_used_bytes=vram.used if vram else None,
            vram_total_bytes=vram.total if vram else None,
            utilisation_percent=rates.gpu if rates else None,
            temperature_c=temperature,
            power_w=power_mw / 1000 if power_mw is not None else None,
            **own,
        )

    def _ask(self, question: Callable[..., Any], *more: Any) -> Any:
        """One counter, or None where this device does not have it."""
        try:
            return question(self._gpu, *more)
        except self._nvml.NVMLError:
            return None


def _first_visible(nvml: Any) -> Any:
    """The device that torch calls cuda:0: CUDA_VISIBLE_DEVICES may hide or reorder them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return nvml.nvmlDeviceGetHandleByIndex(0)
    first = visible.split(",")[0].strip()
    if not first:
        raise ValueError("CUDA_VISIBLE_DEVICES hides every GPU")
    if first.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    return nvml.nvmlDeviceGetHandleByIndex(int(first))


def anonymous_bytes() -> int:
    """Memory of this process that is its own; a model file mapped into memory is not."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
