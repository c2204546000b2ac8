"""The parts that other tests see only together: outbox, inbox, lock, log, database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import eventually

from sdtui.backend import protocol as p
from sdtui.backend.device import is_poisoned
from sdtui.backend.hub import Hub, Inbox
from sdtui.backend.lock import BackendLock, LockHeld, holder_of
from sdtui.backend.logfile import tail
from sdtui.backend.outbox import LATEST_INTERVAL_S, Outbox, Overflow
from sdtui.backend.queue import JobQueue, QueueError
from sdtui.library.database import NewerSchema, open_writable


def test_the_outbox_keeps_order_and_drops_only_what_was_replaced() -> None:
    now = [0.0]
    box = Outbox(lambda: now[0])
    box.put_latest(("StepDone", 1), b"step1 ")
    box.put_latest(("StepDone", 2), b"other ")
    box.put_latest(("StepDone", 1), b"step2 ")
    assert box.take() == (b"other step2 ", None)
    box.put_latest(("StepDone", 1), b"step3 ")
    data, wait_s = box.take()
    assert data == b"" and wait_s == pytest.approx(LATEST_INTERVAL_S)
    box.put(b"saved ")
    assert box.take() == (b"step3 saved ", None), "older first, so that seq only rises"
    box.put_latest(("StepDone", 1), b"step4 ")
    now[0] += LATEST_INTERVAL_S
    assert box.take() == (b"step4 ", None)
    assert box.empty


def test_the_outbox_is_bounded_by_lines_and_bytes() -> None:
    few = Outbox(lambda: 0.0, max_lines=2)
    few.put(b"1")
    few.put(b"2")
    with pytest.raises(Overflow):
        few.put(b"3")
    small = Outbox(lambda: 0.0, max_bytes=10)
    for number in range(1000):  # what replaces itself never fills it
        small.put_latest(("StepDone", 1), b"%d" % number)
    small.put(b"x" * 11)  # a long line alone is no reason
    with pytest.raises(Overflow):
        small.put(b"y")


async def test_a_flood_of_steps_wakes_the_loop_once() -> None:
    loop = asyncio.get_running_loop()
    seen: list[p.Event] = []
    inbox = Inbox(loop, seen.append)
    wakes = []
    real = loop.call_soon_threadsafe
    loop.call_soon_threadsafe = lambda *arguments: (wakes.append(1), real(*arguments))[1]  # type: ignore[method-assign,assignment]

    def flood() -> None:
        for step in range(10_000):
            inbox.put(p.StepDone(job=1, progress=p.Progress(step=step)))
            if step == 5000:
                inbox.put(p.Notice(text="half"))
        inbox.call(lambda: seen.append(p.Notice(text="end")))

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join()  # the loop does not run meanwhile
    del loop.call_soon_threadsafe
    assert len(wakes) == 1
    await eventually(lambda: len(seen) == 3)
    half, last, end = seen
    assert isinstance(half, p.Notice) and half.text == "half"
    assert isinstance(last, p.StepDone) and last.progress.step == 9999
    assert isinstance(end, p.Notice) and end.text == "end"


async def test_one_event_that_cannot_be_handled_stops_no_other() -> None:
    seen: list[str] = []

    def handle(event: p.Event) -> None:
        assert isinstance(event, p.Notice)
        if event.text == "bad":
            raise RuntimeError("no")
        seen.append(event.text)

    inbox = Inbox(asyncio.get_running_loop(), handle)
    for text in ("a", "bad", "b"):
        inbox.put(p.Notice(text=text))
    await eventually(lambda: seen == ["a", "b"])


def test_a_reader_given_up_does_not_disturb_the_others() -> None:
    hub = Hub()
    good, lazy = Outbox(lambda: 0.0), Outbox(lambda: 0.0, max_lines=1)
    dropped: list[str] = []
    hub.subscribe(lazy, dropped.append)
    hub.subscribe(good, pytest.fail)
    for number in range(5):
        assert hub.publish(p.Notice(text=str(number))).seq == number + 1
    assert len(dropped) == 1
    assert good.take()[0].count(b"\n") == 5


def test_the_lock_names_its_holder_and_goes_with_it(home: Path) -> None:
    path = home / "backend.lock"
    assert holder_of(path) is None
    lock = BackendLock.take(path)
    assert (holder := holder_of(path)) and holder.pid == os.getpid()
    with pytest.raises(LockHeld, match=str(os.getpid())):
        BackendLock.take(path)
    # Neither a child nor what a child starts keeps it.
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock.release()
    assert holder_of(path) is None
    BackendLock.take(path, local=True).release()
    sleeper.communicate(b"\n")


def test_the_tail_of_a_log_is_fit_for_a_terminal(home: Path) -> None:
    log = home / "log"
    assert tail(log, 5) == []
    log.write_bytes(
        b"x" * 200_000 + b"\none\n\x1b]52;c;aGk=\x07two\ttab\r\n\n\xff\xe2\x80\xaethree\n"
    )
    assert tail(log, 3) == ["one", "·]52;c;aGk=·two tab", "\ufffd·three"]
    assert tail(log, 1, since=10**9) == ["\ufffd·three"], "rotated meanwhile"


def test_the_log_turns_over_and_takes_the_output_of_c_along(home: Path) -> None:
    log = home / "logs" / "backend.log"
    script = (
        "import logging, os, sys; from pathlib import Path; from sdtui.backend import logfile\n"
        "logfile.MAX_BYTES = 2000; logfile.log_to(Path(sys.argv[1]))\n"
        "for n in range(300): logging.info('line %d', n)\n"
        "os.write(2, b'said by C\\n'); print('said by Python', flush=True)"
    )
    subprocess.run([sys.executable, "-c", script, os.fspath(log)], check=True)
    assert log.stat().st_size < 2500
    assert "said by C" in log.read_text() and "said by Python" in log.read_text()
    assert len(list(log.parent.iterdir())) == 4


def test_a_poisoned_device_is_seen_through_what_wraps_it() -> None:
    def wrapped() -> BaseException:
        try:
            try:
                raise RuntimeError("CUDA error: device-side assert triggered")
            except RuntimeError as error:
                raise ValueError("could not draw") from error
        except ValueError as error:
            return error

    assert is_poisoned(wrapped())
    assert not is_poisoned(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))


class TestQueue:
    def test_what_is_written_is_read_after_reopening(self, home: Path) -> None:
        queue = JobQueue(home / "state.db")
        first = queue.add({"prompt": "ä “quoted”", "steps": 3, "cfg_scale": 7.5}, "t", 1.0)
        second = queue.add({}, "u", 2.0)
        image = p.SavedImage(path="/x.png", seed=2**32 - 1, width=8, height=16, infotext="a\nb")
        queue.start(first.job, 3.0)
        queue.add_image(first.job, image)
        queue.end(first.job, "failed", 4.0, p.ErrorInfo(what="w", why="y"))
        queue.end(first.job, "done", 5.0, None)  # too late
        queue.close()
        queue = JobQueue(home / "state.db")
        read = queue.get(first.job)
        assert read.params == first.params and read.images == (image,)
        assert (read.state, read.ended_s, str(read.error)) == ("failed", 4.0, "w. y")
        assert queue.waiting() == (second.job,)
        assert queue.add({}, "v", 1.0).job == second.job + 1
        queue.close()

    def test_numbers_are_never_used_twice(self, home: Path) -> None:
        queue = JobQueue(home / "state.db")
        numbers = [queue.add({}, "", 0.0).job for _ in range(3)]
        assert numbers == [1, 2, 3]
        with pytest.raises(QueueError, match="no job 9"):
            queue.get(9)
        queue.close()

    @pytest.mark.parametrize("by", [-99, -2, -1, 0, 1, 2, 99])
    def test_move(self, home: Path, by: int) -> None:
        queue = JobQueue(home / "state.db")
        jobs = [queue.add({}, "", 0.0).job for _ in range(5)]
        queue.move(jobs[2], by)
        expected = [job for job in jobs if job != jobs[2]]
        expected.insert(max(0, min(2 + by, 4)), jobs[2])
        assert queue.waiting() == tuple(expected)
        queue.close()

    def test_a_migration_that_breaks_leaves_the_old_schema(self, home: Path) -> None:
        path = home / "x.db"
        one = "CREATE TABLE a (x)"
        open_writable(path, (one,), durable=True).close()
        with pytest.raises(sqlite3.Error):
            open_writable(path, (one, "CREATE TABLE b (x); nonsense"), durable=True)
        db = open_writable(path, (one,), durable=True)
        assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["a"]
        db.close()
        open_writable(path, (one, "CREATE TABLE b (x)"), durable=True).close()
        with pytest.raises(NewerSchema, match="newer sdtui"):
            open_writable(path, (one,), durable=True)
