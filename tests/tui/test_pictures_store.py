"""The pictures a terminal holds for us: sent once, shared, bounded, deleted."""

from __future__ import annotations

import re
import threading

import pytest
from PIL import Image

from sdtui.tui.pictures import kitty, store
from sdtui.tui.pictures.diacritics import NUMBERS
from sdtui.tui.pictures.files import Stamp
from sdtui.tui.pictures.store import Store, TerminalGone


class Line:
    """Collects what is written; breaks after `room` sequences."""

    def __init__(self, room: int = 10**9) -> None:
        self.written: list[str] = []
        self.room = room

    def __call__(self, sequence: str) -> None:
        if self.room <= 0:
            raise TerminalGone
        self.room -= 1
        self.written.append(sequence)

    def numbers(self, action: str) -> list[int]:
        """Ids of the pictures that an action was asked for."""
        found = [re.search(rf"a={action},.*?i=(\d+)", sequence) for sequence in self.written]
        return [int(match[1]) for match in found if match]


def stamp(name: str, mtime: int = 1) -> Stamp:
    return Stamp(name, 1, 100, mtime)


def image(side: int = 32) -> Image.Image:
    return Image.effect_noise((side, side), 90).convert("RGB")


def test_a_picture_is_sent_in_pieces_of_4_kb_under_an_id_that_is_a_colour() -> None:
    line = Line()
    sent = Store(line, in_tmux=False).send(stamp("a"), image(200), (20, 10))
    assert len(line.written) > 1
    assert all(len(re.sub(r"\x1b_G.*?;|\x1b\\", "", piece)) <= 4096 for piece in line.written)
    assert [("m=1" in piece) for piece in line.written] == [True] * (len(line.written) - 1) + [
        False
    ]
    assert 0xFFFF < sent.number <= 0xFFFFFF
    strips = kitty.placeholders(sent.number, 20, 10)
    segment = strips[3]._segments[0]
    colour = segment.style.color.triplet  # type: ignore[union-attr]
    assert colour.red << 16 | colour.green << 8 | colour.blue == sent.number  # type: ignore[union-attr]
    assert [segment.text[i : i + 3] for i in range(0, 60, 3)] == [
        kitty.PLACEHOLDER + NUMBERS[3] + NUMBERS[column] for column in range(20)
    ]
    assert strips[3].cell_length == 20
    assert strips[3].crop(5, 7).text == segment.text[15:21]


def test_one_picture_serves_widgets_of_one_size_and_follows_a_lone_one() -> None:
    line = Line()
    held = Store(line, in_tmux=False)
    first = held.send(stamp("a"), image(), (10, 5))
    assert held.take(stamp("a"), (32, 32), (10, 5), None) is first
    assert held.take(stamp("a"), (32, 32), (20, 10), first) is None, "the other one would suffer"
    held.give_back(first)
    assert held.take(stamp("a"), (32, 32), (20, 10), first) is first
    assert line.numbers("p") == [first.number]
    assert held.take(stamp("a", mtime=2), (32, 32), (20, 10), None) is None
    assert held.take(stamp("a"), (16, 16), (20, 10), None) is None
    held.give_back(first)
    assert held.take(stamp("a"), (32, 32), (7, 7), None) is first, "kept for a while"
    assert len(line.numbers("T")) == 1 and line.numbers("d") == []


def test_what_nobody_shows_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RETAINED_BYTES", 3 * 32 * 32 * 4)
    line = Line()
    held = Store(line, in_tmux=False)
    kept = held.send(stamp("shown"), image(), (1, 1))
    others = [held.send(stamp(f"{n}"), image(), (1, 1)) for n in range(10)]
    for sent in others:
        held.give_back(sent)
    assert held.held == 4
    assert line.numbers("d") == [sent.number for sent in others[:7]]
    assert held.take(stamp("shown"), (32, 32), (1, 1), kept) is kept


def test_a_replaced_file_is_deleted_at_once_a_thousand_times() -> None:
    line = Line()
    held = Store(line, in_tmux=False)
    for turn in range(1000):
        held.give_back(held.send(stamp("preview", turn), image(4), (9, 9)), keep=False)
    assert held.held == 0 and len(line.numbers("d")) == 1000


def test_another_terminal_gets_everything_anew() -> None:
    line = Line()
    held = Store(line, in_tmux=True)
    old = held.send(stamp("a"), image(), (10, 5))
    held.forget()
    assert held.take(stamp("a"), (32, 32), (10, 5), old) is None
    new = held.send(stamp("a"), image(), (10, 5))
    assert new.number != old.number and line.numbers("d") == [old.number]
    held.give_back(old)
    assert held.take(stamp("a"), (32, 32), (10, 5), new) is new
    assert all(piece.startswith("\x1bPtmux;\x1b\x1b_G") for piece in line.written)
    assert all(piece.endswith("\x1b\x1b\\\x1b\\") for piece in line.written)


def test_a_transmission_cut_off_is_ended_before_the_next() -> None:
    line = Line(room=2)
    held = Store(line, in_tmux=False)
    with pytest.raises(TerminalGone):
        held.send(stamp("a"), image(200), (10, 5))
    cut = line.numbers("T")[0]
    line.room = 10**9
    held.send(stamp("b"), image(), (10, 5))
    assert "a=d" in line.written[2] and f"i={cut}," in line.written[2]
    assert held.held == 1


def test_pieces_of_two_threads_are_not_mixed() -> None:
    line = Line()
    held = Store(line, in_tmux=False)
    pictures = [image(150) for _ in range(6)]

    def work(number: int) -> None:
        held.give_back(held.send(stamp(str(number)), pictures[number], (9, 9)), keep=False)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    open_number = None
    for piece in line.written:
        if "a=T" in piece or "a=d" in piece:
            assert open_number is None, piece[:60]
        open_number = True if "m=1" in piece else None
    assert held.held == 0
