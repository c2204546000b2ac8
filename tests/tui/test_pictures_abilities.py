"""What a terminal's answers mean, and that asking costs neither text nor time."""

from __future__ import annotations

import json
import sys

import pytest
from fake_terminal import FakeTerminal

from sdtui.tui.pictures import abilities, tmux
from sdtui.tui.pictures.abilities import Abilities, read_replies, read_tmux, split_name

OK, DA1 = "\x1b_Gi=31;OK\x1b\\", "\x1b[?62;22c"
RGB = "\x1bP1$r0;48:2:1:2:3m\x1b\\"
ASK = """
import dataclasses, json, os, select, sys, time
from sdtui.tui.pictures.abilities import find_abilities
start = time.monotonic()
found = find_abilities()
seconds = time.monotonic() - start
found.apply_environment()
left = os.read(0, 99).decode() if select.select([0], [], [], 0.2)[0] else ""
print(json.dumps(dataclasses.asdict(found) | {"seconds": seconds, "left": left,
      "colorterm": os.environ.get("COLORTERM"), "textual": "textual" in sys.modules}))
"""


def said(name: str) -> str:
    return f"\x1bP>|{name}\x1b\\"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLORTERM", "NO_COLOR", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("replies", "kitty", "truecolor", "cell", "dark"),
    [
        # Recorded: kitty 0.41.1.
        ("\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.41.1)\x1b\\\x1bP1$r48:2:1:2:3m\x1b\\\x1b[6;18;9t"
         "\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?62;c", True, True, (9, 18), True),
        (OK + said("kitty(0.26.5)") + RGB + DA1, False, True, (10, 20), None),
        (OK + said("ghostty 1.1.3") + RGB + DA1, True, True, (10, 20), None),
        # The graphics query answered, but no placeholders.
        (OK + said("Konsole 24.08.1") + RGB + DA1, False, True, (10, 20), None),
        (OK + said("WezTerm 20240203-110809-5046fc22") + DA1, False, True, (10, 20), None),
        # Placeholders, but graphics switched off or too little memory.
        ("\x1b_Gi=31;ENODATA\x1b\\" + said("kitty(0.41.1)") + DA1, False, True, (10, 20), None),
        (said("XTerm(379)") + "\x1bP1$r0;48;2;1;2;3m\x1b\\\x1b]11;rgb:ffff/ffff/ffff\x1b\\" + DA1,
         False, True, (10, 20), False),
        (said("XTerm(379)") + "\x1bP1$r0;48;5;16m\x1b\\" + DA1, False, False, (10, 20), None),
        (DA1, False, False, (10, 20), None),
        # A cell of 0x0 or 5000x1 pixels is nonsense.
        ("\x1b[6;0;0t" + DA1, False, False, (10, 20), None),
        ("\x1b[6;1;5000t" + DA1, False, False, (10, 20), None),
    ],
)  # fmt: skip
def test_replies(
    replies: str, kitty: bool, truecolor: bool, cell: tuple[int, int], dark: bool | None
) -> None:
    found = read_replies(replies.encode())
    assert (found.kitty, found.truecolor, found.cell_px, found.dark) == (
        kitty,
        truecolor,
        cell,
        dark,
    )
    assert found.asked and found.answered and not found.tmux


def test_half_an_answer_counts_as_none() -> None:
    found = read_replies(b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.4")
    assert not found.answered and not found.kitty


def test_names_and_versions() -> None:
    assert split_name("kitty(0.41.0)") == ("kitty", (0, 41, 0))
    assert split_name("ghostty 1.1.3-abc") == ("ghostty", (1, 1, 3))
    assert split_name("tmux 3.3a") == ("tmux", (3, 3))
    assert split_name("") == ("", ())


@pytest.mark.parametrize(
    ("client", "kitty"),
    [
        (tmux.Client("1", "kitty(0.41.0)", "xterm-kitty", ("title",), "off"), True),
        (tmux.Client("1", "kitty(0.41.0)", "xterm-256color", ("RGB",), "off"), True),
        # tmux would send 256 colours, which carry no id.
        (tmux.Client("1", "kitty(0.41.0)", "xterm-256color", ("title",), "off"), False),
        (tmux.Client("1", "XTerm(379)", "xterm-256color", ("RGB",), "off"), False),
        (tmux.Client("1", "", "xterm-kitty", ("RGB",), "off"), False),
    ],
)
def test_tmux_is_asked_about_the_terminal_behind_it(
    client: tmux.Client, kitty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = []
    monkeypatch.setattr(tmux, "allow_passthrough", lambda client: not allowed.append(client))
    assert read_tmux(client).kitty is kitty
    assert len(allowed) == kitty, "the option is touched only where it is needed"
    monkeypatch.setattr(tmux, "allow_passthrough", lambda client: False)
    assert not read_tmux(client).kitty
    assert read_tmux(None).tmux and not read_tmux(None).kitty


def test_the_mode_follows_choice_and_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    able, plain = Abilities(kitty=True, truecolor=True), Abilities()
    assert [able.mode(choice) for choice in abilities.CHOICES] == [
        "kitty",
        "kitty",
        "blocks",
        "off",
    ]
    assert [plain.mode(choice) for choice in abilities.CHOICES] == [
        "blocks",
        "kitty",
        "blocks",
        "off",
    ]
    assert Abilities(kitty=True, utf8=False).mode("kitty") == "off"
    monkeypatch.setenv("NO_COLOR", "1")
    assert [able.mode(choice) for choice in abilities.CHOICES] == [
        "blocks",
        "blocks",
        "blocks",
        "off",
    ]


def ask(**options: object) -> tuple[dict[str, object], FakeTerminal]:
    """Run find_abilities in a terminal; what it found and the terminal."""
    with FakeTerminal([sys.executable, "-c", ASK], (500, 4), **options) as terminal:  # type: ignore[arg-type]
        terminal.wait(lambda: "}" in terminal.text(), "an answer")
        return json.loads(terminal.text()), terminal


def test_asking_a_kitty() -> None:
    found, terminal = ask(cell=(9, 18))
    assert found["kitty"] and found["version"] == [0, 41, 0] and found["cell_px"] == [9, 18]
    assert found["colorterm"] == "truecolor" and not found["textual"]
    assert found["left"] == "" and found["dark"] is True
    assert float(str(found["seconds"])) < 1.0
    assert bytes(terminal.received).count(b"\x1b[c") == 1


def test_asking_a_terminal_that_never_answers() -> None:
    found, _ = ask(silent=True)
    assert found["asked"] and not found["answered"] and not found["kitty"]
    assert found["colorterm"] is None
    assert 0.9 < float(str(found["seconds"])) < 1.9


def test_a_dumb_terminal_is_asked_nothing() -> None:
    found, terminal = ask(env={"TERM": "dumb"})
    assert not found["asked"]
    assert b"\x1b" not in terminal.received


@pytest.mark.parametrize("env", [{"TMUX": "/nowhere,1,0"}, {"TERM": "screen"}, {"TERM": "linux"}])
def test_no_graphics_query_where_it_would_be_shown(env: dict[str, str]) -> None:
    found, terminal = ask(env=env)
    assert b"\x1b_G" not in terminal.received
    assert found["answered"] and not found["kitty"]
