"""A prompt's tokens in chunks of 75, as AUTOMATIC1111 packs them.

A text encoder reads 77 tokens at a time: a beginning, 75 of the prompt, an end. If a chunk is full
and a comma lies at most 20 tokens back, what follows the comma moves on to the next chunk. A
textual-inversion embedding takes one slot for each of its vectors and is never divided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .attention import BREAK, BREAK_WEIGHT, parse_attention
from .compat import Compat, Rule

CHUNK = 75
COMMA_BACK = 20

Tokenize = Callable[[str], Sequence[int]]
Part = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an embedding's vectors stand in a chunk."""

    offset: int
    """From the chunk's first token, the beginning not counted."""
    name: str
    vectors: int


@dataclass
class Chunk:
    """At most 75 tokens; slots of embeddings hold the id 0."""

    tokens: list[int] = field(default_factory=list)
    multipliers: list[float] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)

    def padded(self, bos: int, eos: int, pad: int) -> tuple[list[int], list[float]]:
        """77 token ids and 77 weights: BOS, the tokens, EOS, and what fills the rest."""
        room = CHUNK - len(self.tokens)
        if room < 0:
            raise ValueError(f"a chunk holds {CHUNK} tokens, not {len(self.tokens)}")
        # SD 1 fills with EOS; SD 2 and the large encoder of SDXL with 0 after the first EOS.
        ids = [bos, *self.tokens, *([eos, *[pad] * room] if room else [eos])]
        return ids, [1.0, *self.multipliers, *[1.0] * (room + 1)]


@dataclass(frozen=True)
class Chunks:
    """A prompt in chunks, at least one."""

    chunks: list[Chunk]
    token_count: int
    """Slots taken up to the prompt's end: a chunk that was left early counts as full."""


class EmbeddingNames:
    """Finds the names of embeddings among tokens, so case and spaces do not matter."""

    def __init__(self, vectors: Mapping[str, int], tokenize: Tokenize) -> None:
        """vectors: name -> its number of vectors; at most 75 can be placed."""
        self.vectors = dict(vectors)
        self._by_first: dict[int, list[tuple[list[int], str]]] = {}
        for name in vectors:
            ids = list(tokenize(name))
            if ids:
                self._by_first.setdefault(ids[0], []).append((ids, name))
        for known in self._by_first.values():
            known.sort(key=lambda entry: -len(entry[0]))

    def at(self, tokens: Sequence[int], position: int) -> tuple[str, int] | None:
        """(name, tokens it is written with) of the longest name that begins there, or None."""
        for ids, name in self._by_first.get(tokens[position], ()):
            if list(tokens[position : position + len(ids)]) == ids:
                return name, len(ids)
        return None


class _Packer:
    def __init__(self, comma: int, comma_back: int, moves_slots: bool) -> None:
        self.comma, self.comma_back, self.moves_slots = comma, comma_back, moves_slots
        self.closed: list[Chunk] = []
        self.chunk = Chunk()
        self.last_comma = -1
        self.stranded = False
        """An embedding stood among the words that moved on."""

    def close(self) -> None:
        self.closed.append(self.chunk)
        self.chunk, self.last_comma = Chunk(), -1

    def make_room(self, token: int) -> None:
        """Before a token: note a comma; close a full chunk, taking along what follows its comma."""
        used = len(self.chunk.tokens)
        if token == self.comma:
            self.last_comma = used
        elif used == CHUNK and self.last_comma >= 0 and used - self.last_comma <= self.comma_back:
            self._close_at_comma()
        if len(self.chunk.tokens) == CHUNK:
            self.close()

    def _close_at_comma(self) -> None:
        full, start = self.chunk, self.last_comma + 1
        moved = Chunk(full.tokens[start:], full.multipliers[start:])
        del full.tokens[start:], full.multipliers[start:]
        late = [slot for slot in full.slots if slot.offset >= start]
        self.stranded |= bool(late)
        if self.moves_slots:
            full.slots = [slot for slot in full.slots if slot.offset < start]
            moved.slots = [Slot(s.offset - start, s.name, s.vectors) for s in late]
        self.close()
        self.chunk = moved

    def add(self, token: int, weight: float) -> None:
        self.chunk.tokens.append(token)
        self.chunk.multipliers.append(weight)

    def add_embedding(self, name: str, vectors: int, weight: float) -> None:
        if len(self.chunk.tokens) + vectors > CHUNK:
            self.close()
        self.chunk.slots.append(Slot(len(self.chunk.tokens), name, vectors))
        self.chunk.tokens += [0] * vectors
        self.chunk.multipliers += [weight] * vectors

    def finish(self) -> Chunks:
        count = CHUNK * len(self.closed) + len(self.chunk.tokens)
        if self.chunk.tokens or not self.closed:
            self.close()
        return Chunks(self.closed, count)


def _pack(
    parts: Sequence[Part], tokenize: Tokenize, comma: int, names: EmbeddingNames | None,
    comma_back: int, compat: Compat,
) -> tuple[Chunks, bool]:  # fmt: skip
    packer = _Packer(comma, comma_back, moves_slots=compat == "sdtui")
    for text, weight in parts:
        if text == BREAK and weight == BREAK_WEIGHT:
            packer.close()
            continue
        tokens = list(tokenize(text))
        position = 0
        while position < len(tokens):
            packer.make_room(tokens[position])
            found = names.at(tokens, position) if names else None
            if found and names:
                packer.add_embedding(found[0], names.vectors[found[0]], weight)
                position += found[1]
            else:
                packer.add(tokens[position], weight)
                position += 1
    return packer.finish(), packer.stranded


def pack(
    parts: Sequence[Part], tokenize: Tokenize, comma: int, names: EmbeddingNames | None = None,
    comma_back: int = COMMA_BACK, compat: Compat = "sdtui",
) -> Chunks:  # fmt: skip
    """The chunks of a prompt's weighted parts (`attention.parse_attention`).

    Args:
        tokenize: text to token ids, without beginning and end.
        comma: the id of “,” at the end of a word.
        comma_back: how far back a comma may lie; 0 divides anywhere.
    """
    return _pack(parts, tokenize, comma, names, comma_back, compat)[0]


def strands_an_embedding(
    prompt: str, tokenize: Tokenize, comma: int, names: EmbeddingNames, comma_back: int = COMMA_BACK
) -> bool:
    """Whether an embedding of `prompt` stands among words that move to the next chunk."""
    return _pack(parse_attention(prompt), tokenize, comma, names, comma_back, "sdtui")[1]


RULES = (
    Rule(
        "an embedding moves to the next chunk with the words around it",
        "A1111 moves its empty slots only and leaves its vectors behind in the padding, so that "
        "the embedding is lost",
        lambda given: strands_an_embedding(*given),
    ),
)
