"""What the editor of prompts asks for: other weights under the cursor, what is coloured."""

from __future__ import annotations

import time

import pytest

from sdtui.formats.attention import parse_attention
from sdtui.formats.prompt_spans import MAX_LENGTH, Span, spans
from sdtui.formats.weight_edit import change_weight


def _edit(marked: str, steps: int) -> str:
    """`|` marks the cursor, or both ends of the selection."""
    parts = marked.split("|")
    start, end = len(parts[0]), len("".join(parts[:-1]))
    edit = change_weight("".join(parts), start, end, steps)
    if edit is None:
        return "nothing"
    assert 0 <= edit.start <= edit.end <= len(edit.text)
    text, start, end = edit.text, edit.start, edit.end
    return f"{text[:start]}|{text[start:end]}|{text[end:]}"


@pytest.mark.parametrize(
    ("marked", "steps", "after"),
    [
        ("a ca|t, b", 1, "a (|cat|:1.1), b"),
        ("cat|", -1, "(|cat|:0.9)"),
        ("|blue hair|, b", 2, "(|blue hair|:1.2), b"),
        ("(ca|t:1.1), b", 1, "(|cat|:1.2), b"),
        ("(ca|t:1.1), b", -1, "|cat|, b"),
        ("|(cat:1.3)|", 1, "(|cat|:1.4)"),
        ("(|cat|:1.05)", 1, "(|cat|:1.15)"),
        ("(ca|t)", 1, "(|cat|:1.2)"),
        ("((a|:1.2) b:1.3)", 1, "((|a|:1.3) b:1.3)"),
        ("((a:1.2) b|:1.3)", 1, "(|(a:1.2) b|:1.4)"),
        ("(a) c|at", 1, "(a) (|cat|:1.1)"),
        (r"\(a c|at\)", 1, r"\(a (|cat\)|:1.1)"),
        (r"miku_\(voc|al\), b", 1, r"(|miku_\(vocal\)|:1.1), b"),
        ("(a c|at", 1, "(a (|cat|:1.1)"),
        ("x <lora:foo:0.|8> y", 1, "x <lora:foo:|0.85|> y"),
        ("<lora:fo|o>", -1, "<lora:foo:|0.95|>"),
        ("<lora:foo:1|:0.5>", 1, "<lora:foo:|1.05|:0.5>"),
        ("<lora:foo:te=|1>", 1, "nothing"),
        ("a, | b", 1, "nothing"),
        ("|", 1, "nothing"),
    ],
)
def test_weights_under_the_cursor(marked: str, steps: int, after: str) -> None:
    assert _edit(marked, steps) == after


def test_up_and_down_again_is_where_it_began() -> None:
    text, start, end = "1girl, blue hair, smile", 7, 16
    for steps in (1, 1, 1, -1, -1, -1):
        edit = change_weight(text, start, end, steps)
        assert edit is not None
        text, start, end = edit.text, edit.start, edit.end
        assert text[start:end] == "blue hair"
    assert text == "1girl, blue hair, smile"


def test_what_is_coloured() -> None:
    prompt = "a (b:1.2), [c], [d:e:5] BREAK <lora:x y:0.5> <hypernet:h:1> __col/or__ # (f:2)"
    found = {prompt[span.start : span.end]: span for span in spans(prompt)}
    assert found["b"].weight == 1.2 and found["c"].weight == pytest.approx(1 / 1.1)
    assert "d" not in found and "d:e:5" not in found
    assert found["BREAK"].kind == "word"
    assert (found["<lora:x y:0.5>"].kind, found["<lora:x y:0.5>"].name) == ("lora", "x y")
    assert found["<hypernet:h:1>"].kind == "tag"
    assert (found["__col/or__"].kind, found["__col/or__"].name) == ("wildcard", "col/or")
    assert found["# (f:2)"].kind == "comment"
    places = [span.start for span in spans(prompt)]
    assert places == sorted(places)
    assert spans("plain words, 16:9, a_b") == []


def test_coloured_weights_are_those_that_are_read() -> None:
    for prompt in ("a (b (c:1.3) [d]) e", "((x", "(a:1.2.3)", "((a)(b:2):0.5)", "x) y"):
        read = {text.strip(): weight for text, weight in parse_attention(prompt) if weight != 1}
        for span in spans(prompt):
            text = prompt[span.start : span.end].strip()
            assert isinstance(span, Span)
            if text in read:
                assert span.weight == pytest.approx(read[text])


@pytest.mark.parametrize("piece", ["(", "(a", "[a", "(a:1)", "<a:", "__a", "#\n", "\\("])
def test_hostile_texts_do_not_hold_up_a_key(piece: str) -> None:
    text = (piece * MAX_LENGTH)[:MAX_LENGTH]
    start = time.process_time()
    spans(text)
    change_weight(text, MAX_LENGTH // 2, MAX_LENGTH // 2, 1)
    assert time.process_time() - start < 1
    assert spans(text + "a") == []
