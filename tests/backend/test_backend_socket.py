"""Who gets in, and what happens to those who talk nonsense or do not listen."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from conftest import REPOSITORY, House, enqueue, over, status, until

from sdtui.backend import protocol as p
from sdtui.backend.client import BackendError, BackendGone, Client, CommandRefused
from sdtui.library.places import PlaceError

HELLO = p.encode(p.CommandLine(id=1, command=p.Hello()))


class Raw:
    """A socket that says what a client would never say."""

    def __init__(self, path: Path, hello: bytes = HELLO) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(os.fspath(path))
        self._file = self._socket.makefile("rb")
        if hello:
            self.say(hello)

    def say(self, data: bytes) -> dict[str, object]:
        self._socket.sendall(data)
        return self.hear()

    def hear(self) -> dict[str, object]:
        line = self._file.readline()
        return json.loads(line) if line else {}

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def refusal(line: dict) -> str:
    assert line["reply"]["type"] == "Refused", line
    return line["reply"]["error"]["what"]


async def test_only_the_owner_and_no_network(house: House) -> None:
    await house.connect()
    path = house.places.socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert psutil.Process(house.pid).net_connections("inet") == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user to try it")
async def test_another_user_is_refused(house: House) -> None:
    await house.connect()
    path = house.places.socket
    script = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(sys.argv[2].encode()); print(s.makefile().read())"
    )

    def try_it() -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", script, os.fspath(path), HELLO.decode()]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=60)

    shut_out = await asyncio.to_thread(try_it)
    assert "PermissionError" in shut_out.stderr
    # Even if somebody opens the doors, the kernel's word on who is there counts.
    path.parent.chmod(0o755)
    path.chmod(0o666)
    seen = await asyncio.to_thread(try_it)
    assert refusal(json.loads(seen.stdout)) == "this backend belongs to another user"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user to try it")
async def test_a_stranger_who_poses_as_the_backend_learns_nothing(house: House) -> None:
    house.places.prepare()
    path = house.places.prepare_socket_folder() / house.places.socket.name
    script = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])\n"
        "os.setgid(65534); os.setuid(65534)  # who listens is who counts\n"
        "s.listen(); print('ready', flush=True); print(s.accept()[0].recv(100), flush=True)"
    )
    stranger = subprocess.Popen(
        [sys.executable, "-c", script, os.fspath(path)], stdout=subprocess.PIPE
    )
    try:
        assert stranger.stdout and stranger.stdout.readline() == b"ready\n"
        with pytest.raises(PlaceError, match="belongs to somebody else"):
            await house.connect()
        assert (await asyncio.to_thread(stranger.communicate))[0] == b"b''\n"
    finally:
        stranger.kill()
        path.unlink()


async def test_another_protocol_is_refused_in_plain_words(house: House) -> None:
    await house.connect()
    hello = {"id": 5, "command": {"type": "Hello", "protocol": 99, "shoe_size": 44}}
    raw = Raw(house.places.socket, hello=b"")
    line = await asyncio.to_thread(raw.say, json.dumps(hello).encode() + b"\n")
    assert line["id"] == 5
    assert "protocol 99" in refusal(line) and "sdtui stop" in refusal(line)
    assert await asyncio.to_thread(raw.hear) == {}, "the connection is closed"
    raw.close()


async def test_a_client_of_another_protocol_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.connect()
    real = p.Hello
    monkeypatch.setattr(p, "Hello", lambda: real(protocol=2))
    with pytest.raises(CommandRefused, match=r"protocol 2.*sdtui stop"):
        await Client.connect(house.places, start=False)


async def test_nonsense_is_refused_and_hurts_nobody(house: House) -> None:
    client = await house.connect()
    raw = Raw(house.places.socket)
    for nonsense in (
        b"hello?\n",
        b"\xff\xfe\x00\n",
        b"[" * 100_000 + b"\n",
        b'{"id": 3, "command": {"type": "Explode"}}\n',
        b'{"id": 3, "command": {"type": "Cancel", "job": "all"}}\n',
        b'{"id": 3, "command": {"type": "Pause", "for": 3}}\n',
        b"\n",
    ):
        line = await asyncio.to_thread(raw.say, nonsense)
        assert "not a message of protocol" in refusal(line)
        assert line.get("id") == (3 if nonsense.startswith(b'{"id"') else None)
    status_line = p.encode(p.CommandLine(id=9, command=p.GetStatus()))
    assert (await asyncio.to_thread(raw.say, status_line))["reply"]["type"] == "Snapshot"
    endless = await asyncio.to_thread(raw.say, b"x" * (p.MAX_LINE_BYTES + 10))
    assert "bytes" in refusal(endless)
    raw.close()
    impolite = Raw(house.places.socket, hello=b"")
    assert "Hello" in refusal(await asyncio.to_thread(impolite.say, status_line))
    impolite.close()
    assert (await status(client)).jobs == ()


async def test_a_reader_that_does_not_read_is_dropped_and_can_come_back(house: House) -> None:
    good = await house.connect()
    await good.subscribe()
    lazy = Raw(house.places.socket)
    subscribe = p.encode(p.CommandLine(id=2, command=p.Subscribe()))
    assert (await asyncio.to_thread(lazy.say, subscribe))["reply"]["type"] == "Snapshot"
    job = await enqueue(good, "notices=1200 notice_bytes=10000 notice_s=0.002")
    events = await until(good, over(job))
    notices = [event for event in events if isinstance(event, p.Notice)]
    assert [int(notice.text.split()[0]) for notice in notices] == list(range(1200))

    def read_to_the_end() -> int:
        lines = 0
        try:
            while lazy.hear():
                lines += 1
        except (ConnectionResetError, json.JSONDecodeError):
            pass  # cut off in the middle of a line
        return lines

    assert await asyncio.to_thread(read_to_the_end) < 1200
    lazy.close()
    assert "does not read" in house.places.log_file.read_text()
    back = await house.connect()
    assert {view.job: view.state for view in (await back.subscribe()).jobs} == {job: "done"}


async def test_a_socket_swept_from_tmp_comes_back(house: House) -> None:
    first = await house.connect()
    house.places.socket.unlink()
    second = await house.connect()
    assert second.welcome.pid == first.welcome.pid
    await status(first)


async def test_a_long_home_path_works(house: House, home: Path) -> None:
    folder = home / ("long" * 12) / ("path" * 12) / ("x" * 150)
    long_house = House(folder)
    try:
        client = await long_house.connect()
        await client.subscribe()
        job = await enqueue(client, "a")
        await until(client, over(job))
        assert len(os.fspath(long_house.places.socket)) < 108
    finally:
        await long_house.close()


async def test_the_client_is_light(house: House) -> None:
    code = (
        "import sys, sdtui.backend.client; heavy = {'torch', 'textual', 'numpy', 'sqlite3', "
        "'diffusers', 'psutil'} & set(sys.modules); sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


async def test_a_backend_that_speaks_gibberish(house: House) -> None:
    """Whatever listens there, the client says something a person understands."""
    house.places.prepare()
    house.places.prepare_socket_folder()
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.fspath(house.places.socket))
    server.listen()

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"220 smtp ready\n")
            connection.recv(1000)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with pytest.raises(BackendError, match="does not understand") as wrong:
        await Client.connect(house.places, start=False)
    assert not isinstance(wrong.value, BackendGone)
    server.close()
    house.places.socket.unlink()
