"""CLIP's tokenizer in plain Python, for counting tokens where no library is loaded.

Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2021): the text is put in lower
case and cut into words, each word is a row of letters that stand for bytes, and neighbours are
merged in the order in which the merges were learnt. Gives the ids of transformers' CLIPTokenizer.
"""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "diffusion" / "data" / "clip_vocab.txt.gz"
SIZE = 49408
"""Tokens of CLIP: 256 bytes, the same at a word's end, the merges, begin and end of text."""
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
MAX_WORD = 1000
"""A longer word is cut: merging takes quadratic time, and no word is so long."""
_SPECIAL = re.compile(f"({re.escape(START)}|{re.escape(END)})")
_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")

Merges = Sequence[tuple[str, str]]


def bytes_as_letters() -> dict[int, str]:
    """A printable character for each byte, in the vocabulary's order: the bytes that print
    already, then the others from U+0100 on (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + number) for number, byte in enumerate(others)
    }


def _kind(character: str) -> str:
    """“ ” space, L letter, N digit, O other."""
    if character.isspace() and not "\x1c" <= character <= "\x1f":
        return " "
    kind = unicodedata.category(character)[0]
    return kind if kind in "LN" else "O"


def words(text: str) -> Iterator[str]:
    """The words of a text as CLIP cuts them: letters, single digits, runs of the rest."""
    text = "".join(letter.lower() for letter in unicodedata.normalize("NFC", text))
    kinds = [_kind(character) for character in text]
    start = 0
    while start < len(text):
        kind, end = kinds[start], start + 1
        contraction = next((one for one in _CONTRACTIONS if text.startswith(one, start)), None)
        if contraction:
            end = start + len(contraction)
        elif kind != "N":
            while end < len(text) and kinds[end] == kind:
                end += 1
        if kind != " ":
            yield text[start:end]
        start = end


class Bpe:
    """A vocabulary and its merges."""

    def __init__(self, vocabulary: Mapping[str, int], merges: Merges) -> None:
        self.vocabulary = vocabulary
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._letters = bytes_as_letters()
        self._ids = lru_cache(maxsize=4096)(self._word_ids)

    @property
    def comma(self) -> int:
        """The id of a comma that ends a word."""
        return self.vocabulary[f",{WORD_END}"]

    def __call__(self, text: str) -> list[int]:
        """The token ids of `text`, without beginning and end."""
        ids: list[int] = []
        for i, piece in enumerate(_SPECIAL.split(text)):
            if i % 2:
                ids.append(self.vocabulary[piece])
                continue
            for word in words(piece):
                for start in range(0, len(word), MAX_WORD):
                    ids += self._ids(word[start : start + MAX_WORD])
        return ids

    def _word_ids(self, word: str) -> tuple[int, ...]:
        symbols = [self._letters[byte] for byte in word.encode("utf-8", "replace")]
        symbols[-1] += WORD_END
        while len(symbols) > 1:
            pairs = list(pairwise(symbols))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged: list[str] = []
            i = 0
            while i < len(symbols):
                pair = i < len(pairs) and pairs[i] == best
                merged.append(symbols[i] + symbols[i + 1] if pair else symbols[i])
                i += 2 if pair else 1
            symbols = merged
        return tuple(self.vocabulary[symbol] for symbol in symbols)


@cache
def shipped_tables() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """(vocabulary, merges) of OpenAI's CLIP, from the file that ships with sdtui."""
    letters = list(bytes_as_letters().values())
    with gzip.open(SHIPPED, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : SIZE - 2 * len(letters) - 2 + 1]
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    tokens = [*letters, *(letter + WORD_END for letter in letters)]
    tokens += [left + right for left, right in merges]
    return {token: number for number, token in enumerate([*tokens, START, END])}, merges


@cache
def clip() -> Bpe:
    """The tokenizer of SD 1, SD 2 and SDXL."""
    return Bpe(*shipped_tables())


@cache
def from_folder(folder: Path) -> Bpe:
    """The tokenizer of a diffusers folder: its vocab.json and merges.txt.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is not what its name says.
    """
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    if not isinstance(vocabulary, dict) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{folder} holds no tokenizer")
    return Bpe(vocabulary, [(left, right) for left, right in pairs])
