"""Numbers and states as people read them. Fixed widths, so that live lines do not jump."""

from __future__ import annotations

from sdtui.backend.protocol import JobView, Progress

GIB = 1 << 30
MARKS = {
    "queued": "·", "running": "▶", "done": "✓", "failed": "✗", "cancelled": "–", "interrupted": "!",
}  # fmt: skip


def printable(text: str) -> str:
    """The text without what a terminal would obey: control characters become “·”."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "·" for char in text)


def seconds(value: float | None) -> str:
    """“8 s”, “2:05”, “1:02:05”."""
    if value is None:
        return ""
    whole = max(0, round(value))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def gib(value: int) -> str:
    return f"{value / GIB:.1f}"


def bar(share: float, width: int, kind: str) -> list[tuple[str, str]]:
    """A bar of `width` cells, in half cells."""
    halves = round(max(0.0, min(1.0, share)) * width * 2)
    full, half = divmod(halves, 2)
    return [("━" * full + "╸" * half, kind), ("━" * (width - full - half), "track")]


def phase(progress: Progress) -> str:
    """What a running job does, in a word or two."""
    if progress.phase == "loading":
        return f"loading {progress.detail}".strip()
    return {"waiting": "starting", "text": "reading the prompt", "sampling": "drawing",
            "decoding": "decoding", "saving": "saving"}[progress.phase]  # fmt: skip


def speed(steps_per_s: float) -> str:
    """“12.3 it/s”, “ 2.5 s/it” when a step takes more than a second."""
    if 0 < steps_per_s < 1:
        return f"{1 / steps_per_s:5.1f} s/it"
    return f"{steps_per_s:5.1f} it/s"


def job_parts(job: JobView, width: int) -> list[tuple[str, str]]:
    """A running job in one row of at most `width` cells: what is dropped first stands last."""
    progress = job.progress
    if progress.phase not in ("sampling", "decoding") or not progress.steps:
        return [("▶ ", "key"), (phase(progress), "")]
    share = min(1.0, progress.step / progress.steps)
    texts = [f"{progress.step:>3}/{progress.steps}", speed(progress.steps_per_s)]
    if progress.eta_s is not None:
        texts.append(f"{seconds(progress.eta_s)} left".rjust(10))
    if progress.images > 1:
        texts.append(f"picture {min(progress.image + 1, progress.images)} of {progress.images}")
    rest = "  ".join(texts)
    room = max(8, min(30, width - len(rest) - 4))
    return [*bar(share, room, "key"), ("  ", ""), (rest, "")]
