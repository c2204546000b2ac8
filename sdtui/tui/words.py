"""Numbers and states as people read them. Fixed widths, so that live lines do not jump."""

from __future__ import annotations

from sdtui.backend.protocol import JobView, Progress

GIB = 1 << 30
STATES = {
    "queued": "waiting", "running": "running", "done": "done", "failed": "failed",
    "cancelled": "cancelled", "interrupted": "interrupted",
}  # fmt: skip
MARKS = {"queued": "·", "running": "▶", "done": "✓", "failed": "✗", "cancelled": "–", "interrupted": "!"}


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


def bar(share: float, width: int) -> str:
    """A bar of eighths, `width` cells."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")).ljust(width)


def phase(progress: Progress) -> str:
    """What a running job does, in a word or two."""
    if progress.phase == "loading":
        return f"loading {progress.detail}".strip()
    return {"waiting": "starting", "text": "reading the prompt", "sampling": "drawing",
            "decoding": "decoding", "saving": "saving"}[progress.phase]  # fmt: skip


def job_line(job: JobView) -> str:
    """A running job in one line."""
    progress = job.progress
    parts = [phase(progress)]
    if progress.phase in ("sampling", "decoding") and progress.steps:
        share = min(1.0, progress.step / progress.steps)
        parts = [bar(share, 16), f"step {progress.step:>3}/{progress.steps}"]
        parts.append(f"{progress.steps_per_s:5.1f} it/s")
        if progress.eta_s is not None:
            parts.append(f"{seconds(progress.eta_s)} left".rjust(10))
    if progress.images > 1:
        parts.append(f"picture {min(progress.image + 1, progress.images)}/{progress.images}")
    return "  ".join(parts)
