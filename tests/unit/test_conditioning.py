"""What prompts do to a picture: weights, schedules, AND, embeddings, on the demo model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from sdtui import demo
from sdtui.diffusion.conditioning import Conditioning, condition
from sdtui.diffusion.denoiser import Denoiser
from sdtui.diffusion.load import Model, load_model
from sdtui.diffusion.text import AT_ONCE, TextOptions, emphasise, encode, tokenize

PLAIN = TextOptions()
LONG = ", ".join(["1girl, blue hair"] * 30)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    yield load_model("demo", demo.model_dir(), "demo", cpu, lambda part: None)


def _context(model: Model, text: str, options: TextOptions = PLAIN) -> Tensor:
    return encode(model, [text], options).context_NTC


def _same(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.allclose(left, right, atol=1e-5)


def test_weights_multiply_the_rows_of_their_tokens(model: Model) -> None:
    plain = _context(model, "1girl, blue hair")
    weighted = _context(model, "1girl, (blue hair:1.5)", TextOptions(emphasis="No norm"))
    ids = tokenize(model.tokenizer, "1girl,")
    hair = slice(1 + len(ids), 1 + len(tokenize(model.tokenizer, "1girl, blue hair")))
    factors = torch.ones(77)
    factors[hair] = 1.5
    assert _same(weighted, plain * factors[None, :, None])


def test_emphasis_modes(model: Model) -> None:
    text = "1girl, (blue hair:1.5)"
    plain = _context(model, "1girl, blue hair")
    original = _context(model, text)
    assert not _same(original, plain)
    assert float(original.mean()) == pytest.approx(float(plain.mean()), rel=1e-4)
    assert _same(_context(model, text, TextOptions(emphasis="Ignore")), plain)
    literal = _context(model, text, TextOptions(emphasis="None"))
    assert _same(literal, _context(model, r"1girl, \(blue hair:1.5\)"))


def test_weights_of_zero_leave_something_finite(model: Model) -> None:
    assert torch.isfinite(_context(model, "(1girl:0)")).all()
    zeros = emphasise(torch.ones(1, 77, 4), torch.zeros(1, 77), "Original")
    assert torch.equal(zeros, torch.zeros(1, 77, 4))


def test_variants_share_their_mean_as_often_as_they_are_used() -> None:
    z = torch.stack([torch.full((77, 2), 1.0), torch.full((77, 2), 3.0)])
    weights = torch.ones(2, 77)
    weights[1] = 2.0
    result = emphasise(z, weights, "Original", torch.tensor([3, 1]))
    assert torch.allclose(result[0], z[0] * (3 * 1 + 3) / (3 * 1 + 6))


def test_break_and_long_prompts_make_chunks(model: Model) -> None:
    both = _context(model, "1girl BREAK blue hair")
    halves = [_context(model, "1girl"), _context(model, "blue hair")]
    assert _same(both, torch.cat(halves, dim=1))
    assert _context(model, LONG).shape[1] > 77
    inside, outside = "(1girl BREAK blue hair)", "(1girl) BREAK (blue hair)"
    assert _same(_context(model, inside), _context(model, outside))


def test_clip_skip_reads_an_earlier_layer(model: Model) -> None:
    one, two = _context(model, "1girl"), _context(model, "1girl", TextOptions(clip_skip=2))
    assert not _same(one, two)
    assert _same(two, _context(model, "1girl", TextOptions(clip_skip=12)))  # the model has two


def _rows(model: Model, prompt: str, calls: int, asked: range) -> list[Tensor]:
    made = condition(model, prompt, PLAIN, calls)
    return [made.contexts(made.variants_at(call)).context_NTC for call in asked]


def test_a_schedule_changes_what_is_read(model: Model) -> None:
    rows = _rows(model, "[1girl:blue hair:2], smile", 5, range(5))
    girl, hair = _context(model, "1girl, smile"), _context(model, "blue hair, smile")
    assert [_same(row, girl) for row in rows] == [True, True, True, False, False]
    assert _same(rows[3], hair) and _same(rows[4], hair)


def test_alternation_and_more_calls_than_planned(model: Model) -> None:
    rows = _rows(model, "[1girl|blue hair]", 3, range(9))
    girl = _context(model, "1girl")
    assert [_same(row, girl) for row in rows] == [True, True, False, *[True] * 6]


def test_variants_of_unequal_length(model: Model) -> None:
    rows = _rows(model, f"[1girl:{LONG}:1]", 4, range(4))
    assert len({row.shape for row in rows}) == 1
    filled = torch.cat([_context(model, "1girl"), _context(model, "")], dim=1)
    assert _same(rows[0][:, :154], filled)


def _denoiser(
    model: Model, prompt: Conditioning, cfg_scale: float = 5.0, negative: str = "smile",
    alone: bool = False,
) -> Denoiser:  # fmt: skip
    against = condition(model, negative, PLAIN, 4, negative=True)
    return Denoiser(model, prompt, against, cfg_scale, alone=alone)


@pytest.fixture
def x(model: Model) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 5 * torch.randn(2, model.channels, 8, 8, generator=generator)


@torch.inference_mode()
def test_and_adds_up_what_each_prompt_wants(model: Model, x: Tensor) -> None:
    sigma, scale = 5.0, 5.0

    def alone(text: str) -> Tensor:
        return _denoiser(model, condition(model, text, PLAIN, 4), 1.0)(x, sigma)

    together = _denoiser(model, condition(model, "1girl AND blue hair:0.5", PLAIN, 4), scale)
    negative = alone("smile")
    wanted = (
        negative
        + scale * (alone("1girl") - negative)
        + scale * 0.5 * (alone("blue hair") - negative)
    )
    assert torch.allclose(together(x, sigma), wanted, atol=1e-3)
    assert together.calls == 1
    uneven = _denoiser(model, condition(model, f"1girl AND {LONG}", PLAIN, 4), scale)
    assert torch.isfinite(uneven(x, sigma)).all()
    assert uneven.calls == 2  # the negative prompt is shorter


@torch.inference_mode()
def test_the_negative_prompt_is_left_out_where_it_has_no_share(model: Model, x: Tensor) -> None:
    half = condition(model, "1girl:0.5 AND blue hair:0.5", PLAIN, 4)
    pair = [_denoiser(model, half, 1.0, negative)(x, 5.0) for negative in ("smile", LONG)]
    assert torch.equal(*pair)
    twice = [_denoiser(model, half, 2.0, negative)(x, 5.0) for negative in ("smile", LONG)]
    assert not torch.allclose(*twice)


@torch.inference_mode()
def test_a_schedule_counts_calls_and_begins_anew(model: Model, x: Tensor) -> None:
    prompt = condition(model, "[1girl:blue hair:1]", PLAIN, 4)
    denoiser = _denoiser(model, prompt)
    first = [denoiser(x, 5.0) for _ in range(4)]
    assert torch.equal(first[0], first[1]) and torch.equal(first[2], first[3])
    assert not torch.allclose(first[1], first[2])
    denoiser.begin()
    assert torch.equal(denoiser(x, 5.0), first[0])


@torch.inference_mode()
def test_one_at_a_time_counts_one_call_for_all(model: Model, x: Tensor) -> None:
    prompt = condition(model, "[1girl|blue hair] AND smile:0.3", PLAIN, 4)
    singles = [_denoiser(model, prompt) for _ in x]
    alone = _denoiser(model, prompt, alone=True)
    for _ in range(4):
        expected = torch.cat([one(x[i : i + 1], 5.0) for i, one in enumerate(singles)])
        assert torch.equal(alone(x, 5.0), expected)


def test_an_embedding_stands_for_its_vectors(model: Model) -> None:
    table = model.text_encoder.get_input_embeddings().weight
    words = tokenize(model.tokenizer, "blue hair")
    options = TextOptions(embeddings={"my-thing": [table[words]]})
    assert _same(_context(model, "1girl, MY-thing", options), _context(model, "1girl, blue hair"))
    assert not _same(_context(model, "1girl, my-thing"), _context(model, "1girl, blue hair"))


def _asked(model: Model, prompt: str, old: bool = False) -> list[Tensor]:
    made = condition(model, prompt, TextOptions(compat="a1111"), 4, old_timelines=old)
    return [made.contexts(made.variants_at(call)).context_NTC for call in range(6)]


def test_the_originals_rules_for_old_pictures(model: Model) -> None:
    inside = "(1girl BREAK blue hair:1.2)"
    assert _asked(model, inside)[0].shape[1] == 77 != _context(model, inside).shape[1]
    rows = _asked(model, "[1girl|blue hair]")
    assert _same(rows[5], rows[0])  # more calls than planned: the first again
    rows = _asked(model, "[1girl:blue hair:1.5]", old=True)  # 1.5 is the first step
    assert _same(rows[0], rows[1]) and not _same(rows[1], rows[2])
    broken = "(1girl:1.2.3)"
    assert _same(_asked(model, broken)[0], _context(model, broken))


def test_many_variants_are_encoded_in_groups_and_may_be_cancelled(model: Model) -> None:
    texts = [f"1girl, {'smile ' * i}" for i in range(AT_ONCE + 3)]
    together = encode(model, texts, PLAIN).context_NTC
    for i in (0, AT_ONCE - 1, AT_ONCE, AT_ONCE + 2):
        assert torch.allclose(together[i : i + 1], _context(model, texts[i]), atol=1e-5)

    class Cancelled(Exception):
        pass

    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        condition(model, "1girl", PLAIN, 4, check=check)
