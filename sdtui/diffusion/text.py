"""Prompts to what the U-Net reads, in chunks of 75 tokens as AUTOMATIC1111 does.

Each chunk is BOS + 75 tokens + EOS and is encoded alone; the results are joined along the token
axis. Weights act on the encoder's output, a token's row each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdtui.formats.attention import parse_attention
from sdtui.formats.chunks import COMMA_BACK, Chunk, EmbeddingNames, pack
from sdtui.params.names import Emphasis

from .load import Model


@dataclass(frozen=True)
class TextOptions:
    """How prompts are read."""

    clip_skip: int = 1
    """1 = the last layer; n = the n-th from the end, then the final layer norm."""
    emphasis: Emphasis = "Original"
    comma_back: int = COMMA_BACK
    embeddings: Mapping[str, Tensor] = field(default_factory=dict)
    """Name -> vectors (V, width) of the textual inversions that may be named."""


@torch.inference_mode()
def encode(model: Model, texts: Sequence[str], options: TextOptions) -> Tensor:
    """Plain prompts as contexts (len(texts), 77 * chunks, width).

    Shorter ones are filled up with empty chunks. The texts are the variants of one prompt, in the
    proportion in which they are used: with emphasis "Original" they share one mean.
    """
    unique = list(dict.fromkeys(texts))
    index = torch.tensor([unique.index(text) for text in texts])
    counts = torch.bincount(index, minlength=len(unique)).to(model.device)
    prompts = [_chunks(model, text, options) for text in unique]
    length = max(len(chunks) for chunks in prompts)
    columns = []
    for i in range(length):
        column = [chunks[i] if i < len(chunks) else Chunk() for chunks in prompts]
        columns.append(_encode_chunks(model, column, options, counts))
    return torch.cat(columns, dim=1)[index]


def _chunks(model: Model, text: str, options: TextOptions) -> list[Chunk]:
    tokenizer = model.tokenizer

    def tokenize(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    names = None
    if options.embeddings:
        sizes = {name: len(vectors) for name, vectors in options.embeddings.items()}
        names = EmbeddingNames(sizes, tokenize)
    comma = int(tokenizer.convert_tokens_to_ids(",</w>"))
    parts = [(text, 1.0)] if options.emphasis == "None" else parse_attention(text)
    return pack(parts, tokenize, comma, names, options.comma_back).chunks


def _encode_chunks(
    model: Model, chunks: Sequence[Chunk], options: TextOptions, counts: Tensor
) -> Tensor:
    """One chunk of each prompt, encoded and weighted: (len(chunks), 77, width)."""
    tokenizer = model.tokenizer
    padded = [
        chunk.padded(tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
        for chunk in chunks
    ]
    ids = torch.tensor([ids for ids, _ in padded], device=model.device)
    multipliers = torch.tensor([weights for _, weights in padded], device=model.device)
    with _embeddings_in_place(model.text_encoder, chunks, options.embeddings):
        hidden = _hidden(model.text_encoder, ids, options.clip_skip)
    return emphasise(hidden.float(), multipliers, options.emphasis, counts).to(hidden.dtype)


def _hidden(encoder: torch.nn.Module, ids: Tensor, clip_skip: int) -> Tensor:
    output = encoder(ids, output_hidden_states=clip_skip > 1)
    if clip_skip <= 1:
        return output.last_hidden_state  # type: ignore[no-any-return]
    layers = output.hidden_states
    return _final_norm(encoder)(layers[-min(clip_skip, len(layers) - 1)])  # type: ignore[no-any-return]


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
    if after == 0 or not torch.isfinite(before / after):  # nothing to be restored: (cat:0) alone
        return weighted
    return weighted * (before / after)


@contextmanager
def _embeddings_in_place(
    encoder: torch.nn.Module, chunks: Sequence[Chunk], embeddings: Mapping[str, Tensor]
) -> Iterator[None]:
    """While it lasts, the encoder reads the embeddings' vectors in their slots."""
    if not any(chunk.slots for chunk in chunks):
        yield
        return

    def put(_module: torch.nn.Module, _args: object, output: Tensor) -> Tensor:
        output = output.clone()
        for row, chunk in enumerate(chunks):
            for slot in chunk.slots:
                start = slot.offset + 1
                output[row, start : start + slot.vectors] = embeddings[slot.name].to(output)
        return output

    hook = _inner(encoder).embeddings.token_embedding.register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()


def _inner(encoder: torch.nn.Module) -> torch.nn.Module:
    """transformers 5.6 made CLIPTextModel flat; before, it had a `text_model` inside."""
    return getattr(encoder, "text_model", encoder)


def _final_norm(encoder: torch.nn.Module) -> torch.nn.Module:
    return _inner(encoder).final_layer_norm  # type: ignore[no-any-return]
