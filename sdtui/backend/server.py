"""The socket: who may connect, lines in, replies and events out.

Only the owner gets in: the folder is 0700, the socket 0600, and the kernel is asked who is at the
other end. There is no TCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket

from sdtui import __version__
from sdtui.library.places import Places

from . import protocol as p
from .commands import handle
from .core import Backend
from .outbox import Outbox, Overflow
from .peer import is_own

log = logging.getLogger(__name__)

FLUSH_S = 2.0
"""How long a reader has to take the last lines when the backend ends."""


class Connection:
    """One client, from Hello to the end of the line."""

    def __init__(
        self,
        backend: Backend,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._backend, self._reader, self._writer = backend, reader, writer
        self._outbox = Outbox(asyncio.get_running_loop().time)
        self._closing = False

    async def serve(self) -> None:
        """Answer until the client goes, or is sent away."""
        sender = asyncio.create_task(self._send())
        try:
            await self._converse()
        except (ConnectionError, asyncio.IncompleteReadError):
            log.debug("a client is gone")
        except Overflow as error:
            self._drop(str(error))
        finally:
            self._backend.hub.unsubscribe(self._outbox)
            await self._finish(sender)

    async def flush_and_close(self) -> None:
        """Let the client have what is waiting for it, then end the connection."""
        self._closing = True
        self._outbox.ready.set()
        self._reader.feed_eof()

    # ------------------------------------------------------------ in

    async def _converse(self) -> None:
        if not is_own(self._writer):
            log.warning("refused a connection of another user")
            self._refuse(None, "this backend belongs to another user")
            return
        line = await self._command(greeting=True)
        if line is None or not isinstance(line.command, p.Hello):
            if line is not None:
                self._refuse(line.id, "the first command must be Hello")
            return
        self._reply(line.id, self._welcome())
        while (line := await self._command()) is not None:
            if isinstance(line.command, p.Subscribe):
                self._reply(line.id, self._backend.snapshot())
                self._backend.hub.subscribe(self._outbox, self._drop)
                self._backend.touch()
            elif isinstance(line.command, p.Hello):
                self._reply(line.id, self._welcome())
            else:
                self._reply(line.id, handle(self._backend, line.command))

    async def _command(self, greeting: bool = False) -> p.CommandLine | None:
        """The next command; None at the end of the line. What cannot be read is refused."""
        while True:
            try:
                raw = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return None
            except asyncio.LimitOverrunError:
                # Where the next line begins is not known any more.
                limit = f"a line may have {p.MAX_LINE_BYTES} bytes"
                self._refuse(None, f"{limit}; long data goes by path")
                return None
            try:
                line = p.decode_command(raw)
            except p.ProtocolError as error:
                self._refuse(_id_of(raw), _stranger(raw) or str(error))
                if greeting:
                    return None
                continue
            if isinstance(line.command, p.Hello) and line.command.protocol != p.PROTOCOL_VERSION:
                self._refuse(line.id, _stranger(raw) or "")
                return None
            return line

    # ------------------------------------------------------------ out

    def _welcome(self) -> p.Welcome:
        places = self._backend.places
        return p.Welcome(
            protocol=p.PROTOCOL_VERSION,
            version=__version__,
            pid=os.getpid(),
            home=str(places.home),
            log=str(places.log_file),
        )

    def _reply(self, number: int | None, reply: p.Reply) -> None:
        self._outbox.put(p.encode(p.BackendLine(id=number, reply=reply)))

    def _refuse(self, number: int | None, what: str) -> None:
        self._reply(number, p.Refused(error=p.ErrorInfo(what=what, code="usage")))

    def _drop(self, why: str) -> None:
        log.warning("dropped a client that does not read: %s", why)
        self._closing = True
        self._writer.transport.abort()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._closing and self._outbox.empty):
            await self._outbox.ready.wait()
            self._outbox.ready.clear()
            data, wait_s = self._outbox.take()
            if wait_s is not None:
                loop.call_later(wait_s, self._outbox.ready.set)
            if data:
                self._writer.write(data)
                await self._writer.drain()

    async def _finish(self, sender: asyncio.Task[None]) -> None:
        self._closing = True
        self._outbox.ready.set()
        try:
            async with asyncio.timeout(FLUSH_S):
                await sender
                await self._let_read()
                self._writer.close()
                await self._writer.wait_closed()
        except (TimeoutError, ConnectionError):
            self._writer.transport.abort()

    async def _let_read(self) -> None:
        """Wait until the client has seen our last word and closes.

        Closing with something unread makes the kernel tell the client of a reset connection in the
        place of what we said.
        """
        if not self._reader.at_eof():
            self._writer.write_eof()
            while await self._reader.read(1 << 16):
                pass


class Listener:
    """The listening socket and its connections."""

    def __init__(self, places: Places, backend: Backend) -> None:
        self._places, self._backend = places, backend
        self._server: asyncio.Server | None = None
        self._connections: dict[Connection, asyncio.Task[None]] = {}

    @property
    def connected(self) -> bool:
        """Whether any client is connected."""
        return bool(self._connections)

    async def open(self) -> None:
        """Listen; a socket left by a backend that was killed is replaced. Raises OSError."""
        self._places.prepare_socket_folder()
        path = self._places.socket
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(os.fspath(fresh))
            fresh.chmod(0o600)
            self._server = await asyncio.start_unix_server(
                self._accept, sock=sock, limit=p.MAX_LINE_BYTES
            )
            # Under its name only now that it listens, in one step, over a stale one.
            fresh.rename(path)
        except BaseException:
            sock.close()
            fresh.unlink(missing_ok=True)
            raise

    async def keep(self) -> None:
        """Make the socket again if somebody has cleaned /tmp. Connections go on."""
        if not self._places.socket.exists():
            log.warning("the socket was removed; making it again")
            if self._server is not None:
                self._server.close()
            await self.open()

    async def close(self) -> None:
        """Let every client have its last lines, then take the socket away."""
        if self._server is not None:
            self._server.close()
        self._places.socket.unlink(missing_ok=True)
        for connection in list(self._connections):
            await connection.flush_and_close()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=2 * FLUSH_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._backend, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        try:
            await connection.serve()
        finally:
            del self._connections[connection]
            self._backend.touch()


def _id_of(raw: bytes) -> int | None:
    """The id of a line that is otherwise no command, so that its sender gets an answer."""
    with contextlib.suppress(ValueError, RecursionError):
        line = json.loads(raw)
        if isinstance(line, dict) and isinstance(line.get("id"), int):
            return int(line["id"])
    return None


def _stranger(raw: bytes) -> str | None:
    """A plain sentence when `raw` is the Hello of another version, whatever else it says."""
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        command = json.loads(raw)["command"]
        spoken = command.get("protocol")
        if command.get("type") == "Hello" and spoken != p.PROTOCOL_VERSION:
            return (
                f"the running backend is sdtui {__version__} (protocol {p.PROTOCOL_VERSION}), this "
                f"program speaks protocol {spoken}. End the backend with: sdtui stop"
            )
    return None
