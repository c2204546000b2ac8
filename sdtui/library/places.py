"""Where everything lies. The only module that knows folder names and XDG.

With `--home DIR` or SDTUI_HOME one folder holds everything; without, the folders of the XDG
standard are used. The socket lies in /tmp because XDG_RUNTIME_DIR may vanish at logout and because
a socket's path may not exceed 107 bytes; its folder is the owner's alone.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


class PlaceError(OSError):
    """A folder that cannot be used; the message says which, why and what to do."""


@dataclass(frozen=True)
class Places:
    """The folders of one installation of sdtui. `home` is its identity: one backend for each."""

    home: Path
    config: Path
    cache: Path

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def outputs(self) -> Path:
        return self.home / "outputs"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def presets(self) -> Path:
        return self.config / "presets"

    @property
    def library_db(self) -> Path:
        """Index of pictures and models; can be rebuilt from the files."""
        return self.home / "library.db"

    @property
    def state_db(self) -> Path:
        """Queue, ratings and notes; only the backend writes it."""
        return self.home / "state.db"

    @property
    def session_file(self) -> Path:
        """The last prompt and settings of the Generate screen."""
        return self.home / "session.json"

    @property
    def lock_file(self) -> Path:
        """flock here = being the backend of this home."""
        return self.home / "backend.lock"

    @property
    def log_file(self) -> Path:
        return self.home / "logs" / "backend.log"

    @property
    def terminal_log(self) -> Path:
        return self.home / "logs" / "terminal.log"

    @property
    def previews(self) -> Path:
        return self.cache / "previews"

    @property
    def thumbs(self) -> Path:
        return self.cache / "thumbs"

    @property
    def hash_cache(self) -> Path:
        return self.cache / "hashes.json"

    @cached_property
    def socket(self) -> Path:
        """At most 60 bytes however long the home's path is."""
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path("/tmp") / f"sdtui-{os.getuid()}" / f"{digest}.sock"

    def prepare(self) -> Places:
        """Make the folders. Raises PlaceError when one cannot be made or written."""
        for folder in (self.home, self.models, self.outputs, self.presets, self.log_file.parent):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise PlaceError(
                    f"cannot make the folder {folder}: {error.strerror}. "
                    "Choose another place with --home DIR or SDTUI_HOME"
                ) from None
        # Before any work is done: a picture that cannot be saved is time lost. Models may lie on a
        # disk that is read only.
        for folder in (self.home, self.outputs, self.log_file.parent):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PlaceError(
                    f"cannot write in {folder}. Make it writable, or choose another place with "
                    "--home DIR or SDTUI_HOME"
                )
        return self

    def prepare_socket_folder(self) -> Path:
        """Make the socket's folder, mode 0700. Raises PlaceError if another user owns it."""
        folder = self.socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise PlaceError(f"{folder} belongs to somebody else; remove it or ask its owner")
        if stat.S_IMODE(status.st_mode) != 0o700:
            folder.chmod(0o700)
        return folder


def find_places(home: str | os.PathLike[str] | None = None) -> Places:
    """The places for `home`, else SDTUI_HOME, else the XDG folders. Makes nothing."""
    chosen = os.fspath(home) if home else os.environ.get("SDTUI_HOME", "")
    if chosen:
        root = Path(chosen).expanduser().absolute()
        return Places(home=root, config=root, cache=root / "cache")
    import platformdirs

    return Places(
        home=Path(platformdirs.user_data_dir("sdtui")),
        config=Path(platformdirs.user_config_dir("sdtui")),
        cache=Path(platformdirs.user_cache_dir("sdtui")),
    )
