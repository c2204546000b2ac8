"""The rows that tell what goes on: the top bar, the job in work, the machine."""

from __future__ import annotations

from textual.strip import Strip

from sdtui.tui import words
from sdtui.tui.state import AppState

from .line import Line, Part


class TopBar(Line):
    """Program, screens and what is in memory."""

    def tell(self, state: AppState, here: str, screens: list[tuple[str, str]]) -> None:
        """`screens`: (key, name) of each; `here` is the one that is shown."""
        parts: list[Part] = [(" sdtui ", "title")]
        for key, name in screens:
            jobs = len(state.waiting) + (state.running is not None)
            count = f" {jobs}" if name == "Queue" and jobs else ""
            parts.append((f"  {key} ", "key"))
            parts.append((name + count, "strong" if name == here else "dim"))
        self.put(*parts, ("  ", ""), _link(state))

    def render_line(self, y: int) -> Strip:
        """The last part stands at the right end."""
        *left, (text, kind) = self._parts or [("", "")]
        gap = self.size.width - sum(len(part) for part, _ in left) - len(text) - 1
        return self.strip_of([*left, (" " * max(0, gap), ""), (text, kind)], self.size.width)


def _link(state: AppState) -> Part:
    if state.link == "starting":
        return "starting the backend", "warn"
    if state.link == "gone":
        return "no backend: ctrl+r starts it", "bad"
    if state.paused:
        return "queue paused", "warn"
    if state.model is None:
        return "no model in memory", "dim"
    return f"{state.model.name} on {state.model.device}, {state.model.dtype}", "dim"


class JobRow(Line):
    """What the job in work does: step, it/s, time left."""

    def tell(self, state: AppState) -> None:
        job = state.running
        if job is not None:
            return self.put(*words.job_parts(job, self.size.width))
        last = max(state.jobs.values(), key=lambda job: job.ended_s or 0.0, default=None)
        if state.waiting:
            what = "the queue is paused: p in F7 goes on" if state.paused else "about to start"
            return self.put((f"{len(state.waiting)} waiting; {what}", "warn"))
        if last is not None and last.state in ("failed", "interrupted") and last.error is not None:
            return self.put((f"✗ {last.error}", "bad"))
        return self.put(("ctrl+j makes the picture", "dim"))


class QueueRow(Line):
    """The jobs that wait, in a line."""

    def tell(self, state: AppState) -> None:
        waiting = [state.jobs[number] for number in state.waiting if number in state.jobs]
        if not waiting:
            return self.put(("", ""))
        titles = " · ".join(job.title or f"job {job.job}" for job in waiting)
        return self.put((f"then {len(waiting)}: ", "dim"), (titles, "dim"))


class MonitorRow(Line):
    """Memory, utilisation and temperature of the card; without one, of the machine."""

    def tell(self, state: AppState) -> None:
        reading = state.monitor
        if reading is None:
            return self.put((" ", ""))
        parts: list[Part] = [(" ", "")]
        if reading.vram_total_bytes:
            used, total = reading.vram_used_bytes or 0, reading.vram_total_bytes
            parts += _memory("VRAM", used, total)
            if reading.utilisation_percent is not None:
                parts.append((f"   GPU {reading.utilisation_percent:3.0f} %", ""))
            if reading.temperature_c is not None:
                hot = reading.temperature_c >= 85
                parts.append((f"   {reading.temperature_c:.0f} °C", "warn" if hot else ""))
            if reading.power_w is not None:
                parts.append((f"   {reading.power_w:3.0f} W", "dim"))
        else:
            parts += _memory("RAM", reading.ram_used_bytes, reading.ram_total_bytes)
            parts.append((f"   CPU {reading.cpu_percent:3.0f} %", ""))
        parts.append((f"   backend {words.gib(reading.backend_rss_bytes)} GiB", "dim"))
        return self.put(*parts)


def _memory(name: str, used: int, total: int) -> list[Part]:
    share = used / total if total else 0.0
    kind = "bad" if share > 0.95 else "warn" if share > 0.85 else "good"
    figures = f" {words.gib(used)} / {words.gib(total)} GiB"
    return [(f"{name} ", "dim"), *words.bar(share, 10, kind), (figures, "")]
