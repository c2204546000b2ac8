"""The terminal's end of the socket. Light: no torch, no Textual.

    client = await Client.connect(places)          # starts the backend if none runs
    snapshot = await client.subscribe()
    queued = await client.ask(Enqueue(params={"prompt": "a cat"}))
    async for event in client.events():
        ...

When the backend goes away, whatever waits raises `BackendGone` at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence

from sdtui.library.places import PlaceError, Places

from . import protocol as p
from .errors import BackendError, BackendGone, CommandRefused, HomeTaken, NoBackend
from .lock import holder_of
from .logfile import tail
from .peer import is_own
from .starter import Starting, running_backend, stop_backend

__all__ = [
    "BackendError", "BackendGone", "Client", "CommandRefused", "HomeTaken", "NoBackend",
    "log_tail", "running_backend", "stop_backend",
]  # fmt: skip

TAIL_LINES = 20
RETRY_S = 0.03


class Client:
    """One connection to the backend. Made by `connect`; belongs to one asyncio loop."""

    def __init__(
        self, places: Places, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.places = places
        self.welcome = p.Welcome(protocol=0, version="", pid=0, home="", log="")
        self._reader, self._writer = reader, writer
        self._next_id = 0
        self._answers: dict[int, asyncio.Future[p.Reply]] = {}
        self._events: asyncio.Queue[p.Event | None] = asyncio.Queue()
        self._goodbye = ""
        self._gone: BaseException | None = None
        self._closed = False
        self._listener = asyncio.create_task(self._listen(), name="backend listener")

    # ------------------------------------------------------------ attaching

    @classmethod
    async def connect(
        cls,
        places: Places,
        *,
        start: bool = True,
        timeout_s: float = 30.0,
        backend_args: Sequence[str] = (),
    ) -> Client:
        """Attach to the backend of `places`; with `start`, start one if none runs.

        backend_args: further arguments for a backend that is started here.

        Raises:
            PlaceError: the home folder cannot be used.
            NoBackend: none runs (start=False), or it does not answer; the message says why.
            HomeTaken: a `--local` run works in this home.
            CommandRefused: it speaks another version of the protocol.
        """
        deadline = time.monotonic() + timeout_s
        starting: Starting | None = None
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(
                    os.fspath(places.socket), limit=p.MAX_BACKEND_LINE_BYTES
                )
            except OSError as error:
                starting = _start_or_wait(places, start, starting, backend_args, deadline, error)
                await asyncio.sleep(RETRY_S)
                continue
            if not is_own(writer):
                writer.close()
                raise _strangers(places)
            client = cls(places, reader, writer)
            try:
                await client._greet(max(1.0, deadline - time.monotonic()))
                return client
            except BackendGone:
                await client.close()
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(RETRY_S)  # it was just ending: wait for the next one
            except BaseException:
                await client.close()
                raise

    async def _greet(self, timeout_s: float) -> None:
        try:
            welcome = await asyncio.wait_for(self.ask(p.Hello()), timeout_s)
        except TimeoutError:
            raise _silent(self.places) from None
        assert isinstance(welcome, p.Welcome)
        self.welcome = welcome

    # ------------------------------------------------------------ use

    async def ask(self, command: p.Command) -> p.Reply:
        """Send a command and wait for its one reply. Raises CommandRefused, BackendGone."""
        if self._gone is not None:
            raise self._gone
        self._next_id += 1
        number = self._next_id
        answer: asyncio.Future[p.Reply] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._writer.write(p.encode(p.CommandLine(id=number, command=command)))
            await self._writer.drain()
            reply = await answer
        except ConnectionError:
            # The listener reads what the backend said last, then knows that it is gone.
            await asyncio.wait([self._listener])
            raise self._gone or BackendGone(log_tail(self.places)) from None
        finally:
            self._answers.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen
        if isinstance(reply, p.Refused):
            raise CommandRefused(reply.error)
        return reply

    async def subscribe(self) -> p.Snapshot:
        """The state now; `events` gives everything after it."""
        snapshot = await self.ask(p.Subscribe())
        assert isinstance(snapshot, p.Snapshot)
        return snapshot

    async def events(self) -> AsyncIterator[p.Event]:
        """Every event after the snapshot, in order; ends after `close`. Raises BackendGone."""
        while (event := await self._events.get()) is not None:
            yield event
        self._events.put_nowait(None)  # whoever else iterates ends too
        if not self._closed and self._gone is not None:
            raise self._gone

    async def close(self) -> None:
        """End the connection. The backend and its jobs go on."""
        self._closed = True
        self._listener.cancel()
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # it was closed from the other side first
            await self._writer.wait_closed()
        await asyncio.wait([self._listener])
        self._end(BackendGone([], "this connection was closed"))

    # ------------------------------------------------------------ what comes in

    async def _listen(self) -> None:
        gone: BaseException | None = None
        try:
            while True:
                self._receive(p.decode_backend(await self._reader.readuntil(b"\n")))
        except (asyncio.IncompleteReadError, ConnectionError):
            gone = BackendGone(log_tail(self.places), self._goodbye)
        except (p.ProtocolError, asyncio.LimitOverrunError) as error:
            gone = BackendError(
                p.ErrorInfo(
                    what="The backend said something this version of sdtui does not understand",
                    why=str(error),
                    hint="End it with: sdtui stop, then start sdtui again",
                )
            )
        self._end(gone)

    def _receive(self, line: p.BackendLine) -> None:
        if line.event is not None:
            if isinstance(line.event, p.BackendStopping):
                self._goodbye = line.event.why or "asked to stop"
            self._events.put_nowait(line.event)
        elif line.reply is not None:
            waiting = self._answers.get(line.id if line.id is not None else self._next_id)
            if waiting is not None and not waiting.done():
                waiting.set_result(line.reply)

    def _end(self, why: BaseException | None) -> None:
        self._gone = self._gone or why
        for answer in self._answers.values():
            if not answer.done() and self._gone is not None:
                answer.set_exception(self._gone)
        self._events.put_nowait(None)


def log_tail(places: Places, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of the backend's log, fit for a terminal; [] if there is none."""
    return tail(places.log_file, lines)


def _start_or_wait(
    places: Places,
    start: bool,
    starting: Starting | None,
    backend_args: Sequence[str],
    deadline: float,
    error: OSError,
) -> Starting | None:
    """What to do while nobody listens. Raises NoBackend when it is no use to go on."""
    if isinstance(error, PermissionError):
        raise _strangers(places) from None
    holder = holder_of(places.lock_file)
    if holder is None and starting is None:
        if not start:
            what = f"No backend runs for {places.home}"
            raise NoBackend(p.ErrorInfo(what=what, hint="It starts with: sdtui"))
        return Starting.begin(places, backend_args)
    if holder is not None and holder.local:
        raise HomeTaken(places.home, holder)
    if starting is not None and holder is None and starting.failed():
        raise NoBackend(
            p.ErrorInfo(
                what="The backend could not be started",
                why=starting.reason(),
                hint=f"More is in {places.log_file}",
                code="usage" if starting.usage else "failed",
            )
        )
    if time.monotonic() > deadline:
        raise _silent(places)
    return starting


def _strangers(places: Places) -> PlaceError:
    return PlaceError(f"{places.socket.parent} belongs to somebody else; ask them to remove it")


def _silent(places: Places) -> NoBackend:
    holder = holder_of(places.lock_file)
    return NoBackend(
        p.ErrorInfo(
            what=f"The backend ({holder or 'not started yet'}) does not answer",
            hint=f"End it with: sdtui stop. Its log is {places.log_file}",
        )
    )
