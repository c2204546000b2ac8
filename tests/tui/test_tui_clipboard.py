"""y and Y on a picture: what reaches the terminal, with and without tmux."""

from __future__ import annotations

import base64
import re

import pytest

from sdtui.tui.clipboard import osc52, scp_line
from sdtui.tui.pictures.abilities import Abilities
from tests.backend.conftest import House
from tests.tui.sitting import Sitting, sitting

OSC52 = re.compile(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")


def copied(me: Sitting) -> list[str]:
    """What plain OSC 52 sequences put into the clipboard."""
    return [base64.b64decode(code).decode() for code in OSC52.findall("".join(me.written))]


async def test_y_copies_the_path_and_shift_y_the_scp_line(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.5 50000 192.168.7.2 22")
    async with sitting(house) as me:
        await me.press("escape", "y")
        assert "There is no picture yet" in me.said() and not copied(me)
        for _ in range(2):
            await me.ended(await me.make("steps=1"))
        newest, older = me.state.pictures
        await me.press("escape", "y")
        assert copied(me) == [newest]
        await me.press("down", "Y")
        assert copied(me)[1] == scp_line(older)
        assert re.fullmatch(rf"scp \S+@192\.168\.7\.2:{re.escape(older)} \.", copied(me)[1])
        assert older in me.said()
        await me.press("enter", "down", "up", "y")
        assert copied(me)[2] == newest, "in the large view it is the one that is looked at"


async def test_in_tmux_it_goes_round_tmux_as_well(house: House) -> None:
    async with sitting(house, abilities=Abilities(truecolor=True, tmux=True)) as me:
        await me.ended(await me.make("steps=1"))
        await me.press("escape", "y")
        written = "".join(me.written)
        code = base64.b64encode(me.state.pictures[0].encode()).decode()
        assert f"\x1bPtmux;\x1b\x1b]52;c;{code}\x07\x1b\\" in written
        assert copied(me)[0] == me.state.pictures[0]


def test_a_line_for_scp_survives_any_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "fe80::2 1 fe80::1 22")
    line = scp_line("/pics/it's $HOME; a b.png")
    import shlex

    words = shlex.split(line)
    assert words[0] == "scp" and words[2] == "." and len(words) == 3
    assert words[1].endswith("@[fe80::1]:/pics/it's $HOME; a b.png")
    monkeypatch.delenv("SSH_CONNECTION")
    assert "@" in scp_line("/x")


def test_osc52_carries_any_text() -> None:
    (code,) = OSC52.findall(osc52("ß\x07\x1b猫", tmux=False))
    assert base64.b64decode(code).decode() == "ß\x07\x1b猫"
