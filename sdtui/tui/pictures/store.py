"""The pictures a kitty terminal holds for us: sent once, shared, bounded, deleted at the end."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import kitty
from .files import Stamp

if TYPE_CHECKING:
    from PIL.Image import Image

RETAINED_BYTES = 64 << 20
"""So much of what is no longer shown stays in the terminal (4 bytes a pixel), then the oldest
goes. kitty itself holds 320 MB."""


class TerminalGone(Exception):
    """Nothing can be written now: the program ends or is suspended."""


@dataclass(eq=False)
class Sent:
    """One picture in the terminal's memory."""

    number: int
    key: tuple[Stamp, tuple[int, int]]
    """Content and size in pixels."""
    cells: tuple[int, int]
    epoch: int
    users: int = 1

    @property
    def bytes(self) -> int:
        width, height = self.key[1]
        return width * height * 4


class Store:
    """Sends, places and deletes. Every method may be called from any thread.

    The protocol allows no other graphics command between the pieces of a picture, hence one lock
    around all; it may be held for as long as a slow line needs for a picture.
    """

    def __init__(self, write: Callable[[str], None], *, in_tmux: bool) -> None:
        """`write` puts one sequence out, waiting for room; it may raise TerminalGone."""
        self._write = write
        self.in_tmux = in_tmux
        self._lock = threading.Lock()
        self._held: dict[int, Sent] = {}
        """Least recently shown first."""
        self._next = secrets.randbelow(0xFE0000) | 0x010000
        self._broken: int | None = None
        self._epoch = 0

    def take(
        self, stamp: Stamp, size_px: tuple[int, int], cells: tuple[int, int], mine: Sent | None
    ) -> Sent | None:
        """A picture already sent, now placed on `cells`; None if it must be sent.

        `mine` is what the asker shows now: if that is it and nobody else shows it, it is only
        placed anew, and keeps its one user.
        """
        with self._lock:
            self._sweep()
            for sent in self._held.values():
                others = sent.users - (sent is mine)
                if sent.key != (stamp, size_px) or (others and sent.cells != cells):
                    continue
                if sent.cells != cells:
                    self._write(kitty.place(sent.number, *cells, in_tmux=self.in_tmux))
                    sent.cells = cells
                sent.users = others + 1
                self._held[sent.number] = self._held.pop(sent.number)
                return sent
        return None

    def send(self, stamp: Stamp, image: Image, cells: tuple[int, int]) -> Sent:
        """Send a picture and place it on `cells`. Raises TerminalGone."""
        png = kitty.encode(image)
        with self._lock:
            self._sweep()
            number, epoch = self._new_number(), self._epoch
            try:
                for piece in kitty.transmit(png, number, *cells, in_tmux=self.in_tmux):
                    self._write(piece)
            except TerminalGone:
                self._broken = number  # a deletion ends the transmission that was cut off
                raise
            sent = self._held[number] = Sent(number, (stamp, image.size), cells, epoch)
            self._make_room()
            return sent

    def _new_number(self) -> int:
        while True:
            self._next = self._next % 0xFFFFFF + 1
            if self._next > 0xFFFF and self._next not in self._held:
                return self._next

    def give_back(self, sent: Sent, *, keep: bool = True) -> None:
        """One user less. `keep=False`: its file has been replaced, nobody will ask for it again."""
        with self._lock:
            if sent.number not in self._held:
                return
            sent.users -= 1
            if not sent.users and not keep:
                self._delete(sent)
            self._make_room()

    def _make_room(self) -> None:
        unused = [sent for sent in self._held.values() if not sent.users]
        total = sum(sent.bytes for sent in unused)
        for sent in unused:
            if total <= RETAINED_BYTES:
                break
            total -= sent.bytes
            self._delete(sent)

    def _delete(self, sent: Sent) -> None:
        del self._held[sent.number]
        self._write(kitty.delete(sent.number, in_tmux=self.in_tmux))

    def forget(self) -> None:
        """The terminal may hold nothing any more: what was sent until now is not used again."""
        self._epoch += 1

    def sweep(self) -> None:
        """Delete what has been forgotten. Raises TerminalGone."""
        with self._lock:
            self._sweep()

    def _sweep(self) -> None:
        if self._broken is not None:
            self._write(kitty.delete(self._broken, in_tmux=self.in_tmux))
            self._broken = None
        for sent in [sent for sent in self._held.values() if sent.epoch != self._epoch]:
            self._delete(sent)

    @property
    def held(self) -> int:
        """How many pictures the terminal holds."""
        return len(self._held)
