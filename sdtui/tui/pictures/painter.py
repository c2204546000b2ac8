"""Draws picture files for all Picture widgets of an app: decides how, works in threads, remembers.

The app makes one: `self.painter = Painter(self, abilities, choice)`, and calls `close()` in its
`on_unmount`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from textual.app import App
from textual.strip import Strip

from . import abilities as found
from . import files, kitty, tmux
from .abilities import Abilities, Mode
from .files import Stamp
from .store import Sent, Store, TerminalGone

if TYPE_CHECKING:
    from .picture import Picture

SMALL_CELLS = 600
"""Pictures of fewer cells are thumbnails: they wait in a queue of their own."""
BLOCK_CELLS_KEPT = 20_000
"""Cells of half-block pictures remembered in all: eleven of 60x30, some 20 MB."""
SIZES_KEPT = 2000
LOOK_EVERY_S = 1.0
"""How often tmux is asked whether another terminal has been attached."""


@dataclass(frozen=True)
class Painting:
    """A picture drawn for a box of cells. Without strips it is only `words`."""

    stamp: Stamp
    cells: tuple[int, int]
    strips: Sequence[Strip] = ()
    words: str = ""
    sent: Sent | None = None
    generation: int = 0


class Painter:
    """Draws pictures as the terminal can show them."""

    def __init__(self, app: App[object], abilities: Abilities, choice: str = "auto") -> None:
        """`choice`: auto, kitty, blocks or off, as of `--pictures`."""
        self._app = app
        self._choice = choice
        self.abilities = abilities
        self.mode: Mode = abilities.mode(choice)
        self._generation = 0
        self._open = True
        self._store = Store(self._write, in_tmux=abilities.tmux)
        self._pools = [ThreadPoolExecutor(1, f"pictures-{name}") for name in ("large", "small")]
        self._blocks: OrderedDict[tuple[Stamp, tuple[int, int]], list[Strip]] = OrderedDict()
        self._sizes: OrderedDict[Stamp, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._pictures: WeakSet[Picture] = WeakSet()
        self._following = False
        self._written_s = 0.0
        if self.mode == "kitty" and abilities.tmux and not abilities.kitty:
            # The user knows his terminal better than tmux does.
            client = tmux.ask()
            if client is not None:
                tmux.allow_passthrough(client)
        if abilities.asked and not abilities.answered:
            from .late_replies import drop_late_replies

            drop_late_replies()

    # -- for Picture ---------------------------------------------------------------------------

    def join(self, picture: Picture) -> None:
        """A widget that wants to be told when everything must be drawn again."""
        self._pictures.add(picture)
        if self._following:
            return
        self._following = True
        self._app.app_suspend_signal.subscribe(self._app, self._suspended, immediate=True)
        self._app.app_resume_signal.subscribe(self._app, self._resumed)
        if self.abilities.tmux:
            self._pools[0].submit(self._wrap_lines)
            self._app.run_worker(self._follow_tmux(), group="pictures", exit_on_error=False)

    async def paint(
        self, path: str, box: tuple[int, int], shown: Painting | None, wanted: Callable[[], bool]
    ) -> Painting | None:
        """Draw the file for a box of cells; None if that is no longer wanted or possible.

        Returns `shown` itself if nothing has changed. Raises PictureError. A painting that is no
        longer shown must be given back.
        """
        pool = self._pools[box[0] * box[1] < SMALL_CELLS]
        try:
            job = pool.submit(self._paint, path, box, shown, wanted)
        except RuntimeError:  # the pool is closed: the program ends
            return None
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            job.add_done_callback(lambda done: self._abandoned(done, shown))
            raise

    def give_back(self, painting: Painting | None, successor: Painting | None = None) -> None:
        """A painting is no longer on the screen; `successor` took its place there."""
        sent = painting.sent if painting else None
        if sent is None or not self._open or (successor and successor.sent is sent):
            return
        replaced = successor is not None and successor.stamp.path == sent.key[0].path
        keep = not (replaced and successor and successor.stamp != sent.key[0])
        self._pools[0].submit(self._given_back, sent, keep)

    # -- for the app ---------------------------------------------------------------------------

    def renew(self) -> None:
        """Draw everything again, as if the terminal had lost its memory (it may be another one)."""
        self._generation += 1
        self._store.forget()
        if self._open:
            self._pools[0].submit(self._sweep)
        for picture in list(self._pictures):
            picture.repaint()

    def close(self) -> None:
        """Delete our pictures from the terminal. Nothing is drawn afterwards."""
        self._open = False
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)
        self._store.forget()
        self._open = True
        self._sweep()
        self._open = False

    @property
    def held(self) -> int:
        """How many pictures the terminal's memory holds for us."""
        return self._store.held

    @property
    def cell_px(self) -> tuple[int, int]:
        """Width and height of a cell in pixels, as the terminal's window is now."""
        stream = sys.__stderr__
        if stream is None or not stream.isatty():
            return self.abilities.cell_px
        return found.cell_px_now(stream.fileno()) or self.abilities.cell_px

    # -- in the threads ------------------------------------------------------------------------

    def _paint(
        self, path: str, box: tuple[int, int], shown: Painting | None, wanted: Callable[[], bool]
    ) -> Painting | None:
        if not wanted():
            return None
        generation, mode = self._generation, self.mode
        stamp = files.stamp_of(path)
        size = self._sizes.get(stamp)
        if size is None:
            size = files.size_of(path)
            self._remember_size(stamp, size)
        if mode == "off":
            words = f"{Path(path).name}, {size[0]}x{size[1]}"
            return Painting(stamp, (len(words), 1), words=words)
        if mode == "kitty":
            box = (min(box[0], kitty.MOST_CELLS), min(box[1], kitty.MOST_CELLS))
        # The terminal keeps a picture's proportions on its cells; half blocks fill theirs.
        cells = files.fit(size, box, self.cell_px, whole=mode == "kitty")
        if shown and (shown.stamp, shown.cells, shown.generation) == (stamp, cells, generation):
            return shown
        try:
            if mode == "kitty":
                return self._by_kitty(stamp, size, cells, shown, generation, wanted)
            return self._by_blocks(stamp, cells, generation)
        except TerminalGone:
            return None

    def _by_blocks(self, stamp: Stamp, cells: tuple[int, int], generation: int) -> Painting:
        from .blocks import blocks

        with self._lock:
            strips = self._blocks.get((stamp, cells))
            if strips is not None:
                self._blocks.move_to_end((stamp, cells))
        if strips is None:
            stamp, image = files.load(stamp.path, (cells[0], cells[1] * 2))
            strips = blocks(image, *cells)
            self._remember_blocks(stamp, cells, strips)
        return Painting(stamp, cells, strips, generation=generation)

    def _by_kitty(
        self, stamp: Stamp, size: tuple[int, int], cells: tuple[int, int],
        shown: Painting | None, generation: int, wanted: Callable[[], bool],
    ) -> Painting | None:  # fmt: skip
        cell_w, cell_h = self.cell_px
        size_px = files.level(size, (cells[0] * cell_w, cells[1] * cell_h))
        mine = shown.sent if shown else None
        sent = self._store.take(stamp, size_px, cells, mine)
        if sent is None:
            stamp, image = files.load(stamp.path, size_px)
            image = files.reduce(image, size_px)
            if not wanted():
                return None
            sent = self._store.send(stamp, image, cells)
        strips = kitty.placeholders(sent.number, *cells)
        return Painting(stamp, cells, strips, sent=sent, generation=generation)

    def _remember_size(self, stamp: Stamp, size: tuple[int, int]) -> None:
        with self._lock:
            self._sizes[stamp] = size
            if len(self._sizes) > SIZES_KEPT:
                self._sizes.popitem(last=False)

    def _remember_blocks(self, stamp: Stamp, cells: tuple[int, int], strips: list[Strip]) -> None:
        with self._lock:
            old = [k for k in self._blocks if k[0].path == stamp.path and k[0] != stamp]
            for key in old:
                del self._blocks[key]
            self._blocks[stamp, cells] = strips
            total = sum(columns * rows for _, (columns, rows) in self._blocks)
            while total > BLOCK_CELLS_KEPT and len(self._blocks) > 1:
                (_, (columns, rows)), _ = self._blocks.popitem(last=False)
                total -= columns * rows

    def _given_back(self, sent: Sent, keep: bool) -> None:
        with suppress(TerminalGone):
            self._store.give_back(sent, keep=keep)

    def _wrap_lines(self) -> None:
        with suppress(TerminalGone):
            self._write(tmux.WRAP_LINES)

    def _sweep(self) -> None:
        with suppress(TerminalGone):
            self._store.sweep()

    def _abandoned(self, job: Future[Painting | None], shown: Painting | None) -> None:
        """A painting whose widget went away while it was made."""
        if not job.cancelled() and job.exception() is None:
            self.give_back(job.result(), shown)

    def _write(self, sequence: str) -> None:
        """Put one sequence into Textual's writer queue as soon as that is empty.

        So a large picture on a slow line never fills the queue, on which the event loop would wait,
        and what keys bring to the screen goes between its pieces.
        """
        while True:
            driver = self._app._driver
            if not self._open or driver is None:
                raise TerminalGone
            writer = getattr(driver, "_writer_thread", None)
            if writer is None or writer._queue.empty():
                break
            if not writer.is_alive():
                raise TerminalGone
            time.sleep(0.001)
        self._written_s = time.monotonic()
        driver.write(sequence)

    # -- another terminal, or none -------------------------------------------------------------

    def _suspended(self, _: object) -> None:
        self._open = False

    def _resumed(self, _: object) -> None:
        self._open = True
        if self.abilities.tmux:
            self._pools[0].submit(self._wrap_lines)
        self.renew()

    async def _follow_tmux(self) -> None:
        """Draw again when another terminal is attached, or what was sent was dropped unseen."""
        before = await asyncio.to_thread(tmux.ask)
        seen_s = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            client = await asyncio.to_thread(tmux.ask)
            if client is None:
                continue
            # Its abilities arrive one by one: the name may be known before the colours are.
            if before is None or _same_ways(client, before) != before:
                if client.pid:
                    self.abilities = found.read_tmux(client, cell=self.abilities.cell_px)
                    self.mode = self.abilities.mode(self._choice)
                    self.renew()
            elif client.visible and not before.visible and self._written_s > seen_s:
                self.renew()
            if client.visible:
                seen_s = time.monotonic()
            if client.pid:
                before = client


def _same_ways(client: tmux.Client, before: tmux.Client) -> tmux.Client:
    """`client` without what changes while the terminal stays the same."""
    return replace(client, visible=before.visible, passthrough=before.passthrough)
