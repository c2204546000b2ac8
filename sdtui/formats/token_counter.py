"""How many tokens a prompt takes, for the counter beside the editor. No library, some 1 ms.

The first use of `tokenizer_for` reads CLIP's vocabulary (0.2 s): call it in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import clip_bpe, comments, extra_networks, prompt_schedule
from .attention import parse_attention
from .chunks import CHUNK, EmbeddingNames, pack

STEPS = 20
"""Alternations are followed for so many steps."""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """The tokens of a prompt's longest variant."""

    chunks: tuple[int, ...]
    """Slots taken in each chunk of 75."""

    @property
    def used(self) -> int:
        """As A1111 counts: a chunk that was left early counts as full."""
        return CHUNK * (len(self.chunks) - 1) + self.chunks[-1]

    @property
    def room(self) -> int:
        return CHUNK * len(self.chunks)

    def __str__(self) -> str:
        return f"{self.used}/{self.room}"


def tokenizer_for(checkpoint: Path) -> clip_bpe.Bpe:
    """The tokenizer of a diffusers folder, or CLIP's for a single file.

    Raises:
        OSError, ValueError: the folder's tokenizer cannot be read.
    """
    folder = checkpoint / "tokenizer"
    return clip_bpe.from_folder(folder) if folder.is_dir() else clip_bpe.clip()


def count(
    prompt: str, tokenizer: clip_bpe.Bpe, vectors: Mapping[str, int] | None = None
) -> TokenCount:
    """Count the tokens that the text encoder will read.

    Comments and tags take none. Of a schedule, an alternation or an AND the longest text counts.

    Args:
        vectors: name -> number of vectors of the embeddings that may be named.
    """
    text = extra_networks.parse(comments.without_comments(prompt))[0]
    names = EmbeddingNames(vectors, tokenizer) if vectors else None
    texts = {
        entry
        for part, _ in prompt_schedule.compose(text)
        for _, entry in prompt_schedule.schedule(part, STEPS)
    }
    packed = (pack(parse_attention(one), tokenizer, tokenizer.comma, names) for one in texts)
    longest = max(packed, key=lambda chunks: chunks.token_count)
    return TokenCount(tuple(len(chunk.tokens) for chunk in longest.chunks))
