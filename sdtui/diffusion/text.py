"""Prompts to what the U-Net reads, in chunks of 75 tokens as AUTOMATIC1111 does.

Each chunk is BOS + 75 tokens + EOS and is encoded alone; the results are joined along the token
axis. Weights act on the encoder's output, a token's row each. SDXL has two encoders: the last but
one layer of both is read, joined along the channels, and the large one gives a pooled vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sdtui.formats.attention import parse_attention, readable
from sdtui.formats.chunks import COMMA_BACK, Chunk, EmbeddingNames, pack
from sdtui.formats.compat import Compat
from sdtui.params.names import Emphasis

from .load import Model

AT_ONCE = 16
"""So many chunks go through a text encoder together."""
LARGE = ("sdxl", "refiner")
"""Families whose encoders are read at the last but one layer, and pooled."""


@dataclass(frozen=True)
class TextOptions:
    """How prompts are read."""

    clip_skip: int = 1
    """SD 1: 1 = the last layer; n = the n-th from the end, then the final layer norm."""
    emphasis: Emphasis = "Original"
    comma_back: int = COMMA_BACK
    embeddings: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)
    """Name -> vectors (V, width) for each text encoder: textual inversions that may be named."""
    compat: Compat = "sdtui"
    """Whose reading: see `formats.prompt_rules`."""


@dataclass(frozen=True)
class Encoded:
    """Plain prompts as the U-Net reads them."""

    context_NTC: Tensor
    """(prompts, 77 * chunks, width)."""
    pooled_NC: Tensor | None = None
    """SDXL only: never weighted, of the first chunk."""


@torch.inference_mode()
def encode(
    model: Model, texts: Sequence[str], options: TextOptions, counts: Sequence[int] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Encoded:  # fmt: skip
    """Plain prompts as contexts; shorter ones are filled up with empty chunks.

    The texts are the variants of one prompt: with emphasis "Original" they share one mean.
    `counts` says in which proportion they are used; `check` is called now and then and may raise.
    """
    prompts = [_chunks(model, text, options) for text in texts]
    counts_N = torch.tensor(counts or [1] * len(texts), device=model.device)
    contexts, pooled = [], None
    for number in range(len(model.text_encoders)):
        columns = []
        for i in range(max(len(chunks) for chunks in prompts)):
            check()
            column = [chunks[i] if i < len(chunks) else Chunk() for chunks in prompts]
            z, whole = _encode_chunks(model, number, column, options, counts_N)
            columns.append(z)
            pooled = whole if i == 0 and whole is not None else pooled
        contexts.append(torch.cat(columns, dim=1))
    return Encoded(torch.cat(contexts, dim=2), pooled)


def tokenize(tokenizer: Any, text: str) -> list[int]:
    """Token ids of any number, without beginning and end."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)


def _chunks(model: Model, text: str, options: TextOptions) -> list[Chunk]:
    tokenizer = model.tokenizers[0]

    def ids_of(text: str) -> list[int]:
        return tokenize(tokenizer, text)

    names = None
    if options.embeddings:
        sizes = {name: len(vectors[0]) for name, vectors in options.embeddings.items()}
        names = EmbeddingNames(sizes, ids_of)
    comma = int(tokenizer.convert_tokens_to_ids(",</w>"))
    compat = readable(text, options.compat)
    parts = [(text, 1.0)] if options.emphasis == "None" else parse_attention(text, compat)
    return pack(parts, ids_of, comma, names, options.comma_back, compat).chunks


def _encode_chunks(
    model: Model, number: int, chunks: Sequence[Chunk], options: TextOptions, counts_N: Tensor
) -> tuple[Tensor, Tensor | None]:
    """One chunk of each prompt by encoder `number`: ((N, 77, width), pooled (N, width) or None)."""
    tokenizer = model.tokenizers[number]
    padded = [
        chunk.padded(tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
        for chunk in chunks
    ]
    ids = torch.tensor([ids for ids, _ in padded], device=model.device)
    multipliers = torch.tensor([weights for _, weights in padded], device=model.device)
    encoder = model.text_encoders[number]
    layers, pooled = [], []
    for start in range(0, len(chunks), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        with _embeddings_in_place(encoder, number, chunks[rows], options.embeddings):
            output = encoder(ids[rows], output_hidden_states=True)
        layers.append(_layer(encoder, output, model.family, options.clip_skip))
        pooled.append(getattr(output, "text_embeds", None))
    hidden = torch.cat(layers)
    weighted = emphasise(hidden.float(), multipliers, options.emphasis, counts_N)
    whole = [one for one in pooled if one is not None]
    return weighted.to(hidden.dtype), torch.cat(whole) if whole else None


def _layer(encoder: Any, output: Any, family: str, clip_skip: int) -> Tensor:
    layers = output.hidden_states
    if family in LARGE:
        return layers[-2]  # type: ignore[no-any-return]
    if family == "sd2" or clip_skip <= 1:
        return output.last_hidden_state  # type: ignore[no-any-return]
    norm = _inner(encoder).final_layer_norm
    return norm(layers[-min(clip_skip, len(layers) - 1)])  # type: ignore[no-any-return]


def emphasise(
    z_NTC: Tensor, multipliers_NT: Tensor, mode: Emphasis, counts_N: Tensor | None = None
) -> Tensor:
    """Weights applied to encoded tokens, as the emphasis modes of A1111 do.

    "Original" multiplies each row, then scales everything so that the mean over all variants,
    tokens and channels is what it was; `counts_N` says how often each variant is used.
    """
    if mode in ("None", "Ignore") or bool((multipliers_NT == 1).all()):
        return z_NTC
    weighted = z_NTC * multipliers_NT.unsqueeze(-1)
    if mode == "No norm":
        return weighted
    counts = torch.ones(len(z_NTC), device=z_NTC.device) if counts_N is None else counts_N
    before, after = ((one.mean(dim=(1, 2)) * counts).sum() for one in (z_NTC, weighted))
    if not torch.isfinite(before / after):  # all weights 0: no factor restores the mean
        return weighted
    return weighted * (before / after)


@contextmanager
def _embeddings_in_place(
    encoder: Any, number: int, chunks: Sequence[Chunk], embeddings: Mapping[str, Sequence[Tensor]]
) -> Iterator[None]:
    """While it lasts, encoder `number` reads the embeddings' vectors in their slots."""
    if not any(chunk.slots for chunk in chunks):
        yield
        return

    def put(_module: torch.nn.Module, _args: object, output: Tensor) -> Tensor:
        output = output.clone()
        for row, chunk in enumerate(chunks):
            for slot in chunk.slots:
                start = slot.offset + 1
                vectors = embeddings[slot.name][number]
                output[row, start : start + slot.vectors] = vectors.to(output)
        return output

    hook = _inner(encoder).embeddings.token_embedding.register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()


def _inner(encoder: Any) -> Any:
    """transformers 5.6 made CLIPTextModel flat; with projection it has a `text_model` inside."""
    return getattr(encoder, "text_model", encoder)
