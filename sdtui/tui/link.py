"""The terminal program's line to the backend: attach, follow, notice its end, ask for things."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from sdtui import __version__
from sdtui.backend import protocol as p
from sdtui.backend.client import BackendError, BackendGone, Client
from sdtui.library.places import PlaceError, Places

from .state import AppState

FRAME_S = 0.1
"""Progress wakes the screen at most this often."""


class Link:
    """Keeps `state` up to date. Belongs to the app's loop.

    `attached` is called after each snapshot, when what the files say can be read.
    `changed` is called at most every FRAME_S for progress, and at once for what matters more.
    `lost` is called when the backend has gone (or could not be reached) for a reason to be shown.
    """

    def __init__(
        self, places: Places, state: AppState, *,
        attached: Callable[[], None],
        changed: Callable[[], None],
        notice: Callable[[p.Notice], None],
        ended: Callable[[p.JobView], None],
        lost: Callable[[BackendError | PlaceError], None],
    ) -> None:  # fmt: skip
        self._places, self._state = places, state
        self._attached = attached
        self._changed, self._notice, self._ended, self._lost = changed, notice, ended, lost
        self._client: Client | None = None
        self._pending = False

    async def follow(self) -> None:
        """Attach (starting a backend if none runs) and follow until it is gone."""
        while True:
            self._state.link = "starting"
            try:
                self._client = client = await Client.connect(self._places)
                self._state.load(await client.subscribe())
                self._tell()
                self._attached()
                self._check_version(client.welcome.version)
                async for event in client.events():
                    self._take(event)
                return
            except BackendGone as gone:
                if gone.expected and "restarts itself" in str(gone):
                    continue
                self._end(gone)
                return
            except (BackendError, PlaceError) as error:
                self._end(error)
                return
            finally:
                await self.close()

    async def close(self) -> None:
        """Leave; the backend and its jobs go on."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ask(self, command: p.Command) -> p.Reply:
        """Send a command. Raises BackendError (refused, gone, not there)."""
        if self._client is None:
            error = p.ErrorInfo(what="The backend does not run", hint="ctrl+r starts it")
            raise BackendError(error)
        return await self._client.ask(command)

    def _check_version(self, version: str) -> None:
        if version != __version__:
            text = (
                f"The running backend is sdtui {version}, this is {__version__}. To have both the "
                "same: ctrl+p, End the backend and quit; then start sdtui again"
            )
            self._notice(p.Notice(text=text, level="warning"))

    def _end(self, error: BackendError | PlaceError) -> None:
        self._state.link = "gone"
        self._state.version += 1
        self._changed()
        self._lost(error)

    def _take(self, event: p.Event) -> None:
        if not self._state.apply(event):
            return
        if isinstance(event, p.Notice):
            self._notice(event)
        elif isinstance(event, p.JobFailed | p.JobFinished):
            with contextlib.suppress(KeyError):
                self._ended(self._state.jobs[event.job])
        if event.latest_wins:
            self._tell_soon()
        else:
            self._tell()

    def _tell_soon(self) -> None:
        if not self._pending:
            self._pending = True
            asyncio.get_running_loop().call_later(FRAME_S, self._tell)

    def _tell(self) -> None:
        self._pending = False
        self._changed()
