"""What can be wrong with the backend, said for a person. Light."""

from __future__ import annotations

from pathlib import Path

from .lock import Holder
from .protocol import ErrorInfo


class BackendError(Exception):
    """Something about the backend that a person should read. `.error` says it in parts."""

    def __init__(self, error: ErrorInfo) -> None:
        self.error = error
        super().__init__(str(error))


class CommandRefused(BackendError):
    """The backend does not do what was asked."""


class NoBackend(BackendError):
    """No backend could be reached or started."""


class HomeTaken(BackendError):
    """Another process is the backend of this home."""

    def __init__(self, home: Path, holder: Holder) -> None:
        self.holder = holder
        super().__init__(
            ErrorInfo(
                what=f"{holder} already works in {home}",
                hint="Wait for its end, or end it with: sdtui stop",
            )
        )


class BackendGone(BackendError):
    """The backend has ended while we were attached."""

    def __init__(self, log_tail: list[str], why: str = "") -> None:
        self.log_tail = log_tail
        """The last lines of its log."""
        self.expected = bool(why)
        """It said goodbye; `why` is in the message."""
        what = f"The backend has ended: {why}" if why else "The backend has ended unexpectedly"
        super().__init__(
            ErrorInfo(what=what, hint="What was queued is kept; start the backend again to go on")
        )
