"""Whether a file is still the one that was opened.

Tensors are views of mapped files. A file that is replaced by renaming or deleted leaves the old
pages alive; one that is overwritten or cut off in place changes them under the model (or ends the
process with SIGBUS), so it is looked at before each use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was when it was opened."""

    path: Path
    inode: tuple[int, int] = (0, 0)
    size: int = 0
    mtime_ns: int = 0

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Raises OSError."""
        status = path.stat()
        return cls(path, (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)

    @property
    def same(self) -> bool:
        """The file at the path is the one that was opened. False when it is gone."""
        try:
            return Stamp.of(self.path) == self
        except OSError:
            return False

    @property
    def overwritten(self) -> bool:
        """The very file that was opened has other contents now."""
        try:
            now = Stamp.of(self.path)
        except OSError:
            return False
        return now.inode == self.inode and now != self

    @property
    def gone(self) -> bool:
        """Nothing lies at the path any more; what was opened can still be read."""
        return not self.path.exists()
