"""Who is at the other end of a Unix socket, as the kernel knows it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

_LAYOUT = struct.Struct("3i")  # pid, uid, gid


def is_own(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end is a process of the same user.

    Asked by both sides: anybody can make a folder in /tmp under our name before we do.
    """
    sock = writer.get_extra_info("socket")
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LAYOUT.size)
    return int(_LAYOUT.unpack(raw)[1]) == os.getuid()
