"""A CLIP vocabulary of under 800 entries in which every word of the captions is one token.

Byte-pair merges are learnt from the word list until each word is whole, so that vocabulary and
merges agree by construction; other words fall apart into letters, as in the large vocabulary.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

from sdtui.library import atomic

from .captions import FILLERS
from .labels import LABELS

START, END = "<|startoftext|>", "<|endoftext|>"
OTHER = (
    "a an and with wearing on the of in boy girl s hair eyes background closed eyes blush glasses "
    "maid headband silver twin braids green ribbon white apron low quality worst blurry photo no "
    "humans night sword orange tail skirt ohwx sks mychar zwx"
)
"""Small words of the sentences, words a LoRA will need, words of negative prompts, triggers."""


def words() -> list[str]:
    """Every word that is to be one token, sorted. Single letters are tokens anyway."""
    said = [value for choices in LABELS.values() if "yes" not in choices for value in choices]
    phrases = [*said, *FILLERS, OTHER]
    return sorted({word for phrase in phrases for word in phrase.split() if len(word) > 1})


def _byte_letters() -> list[str]:
    """The 256 printable stand-ins for bytes of GPT-2's byte-level BPE, in CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + number) for number, byte in enumerate(others)}
    return [letters[byte] for byte in sorted(letters)]


def _merges() -> list[tuple[str, str]]:
    spelt = [(*word[:-1], word[-1] + "</w>") for word in words()]
    merges: list[tuple[str, str]] = []
    while pairs := Counter(pair for word in spelt for pair in pairwise(word)):
        merges.append(max(pairs, key=lambda pair: (pairs[pair], pair)))
        spelt = [_merged(word, merges[-1]) for word in spelt]
    return merges


def _merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined: list[str] = []
    index = 0
    while index < len(word):
        step = 2 if word[index : index + 2] == pair else 1
        joined.append("".join(word[index : index + step]))
        index += step
    return tuple(joined)


def write(folder: Path) -> None:
    """vocab.json, merges.txt and tokenizer.json: old and new trainers each want their own."""
    from transformers import CLIPTokenizer

    letters, merges = _byte_letters(), _merges()
    ends = [f"{letter}</w>" for letter in letters]
    entries = [*letters, *ends, *map("".join, merges), START, END]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    text = "\n".join(["#version: 0.2", *map(" ".join, merges), ""])
    folder.mkdir(parents=True, exist_ok=True)
    atomic.replace_text(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False), 0o644)
    atomic.replace_text(folder / "merges.txt", text, 0o644)
    tokenizer = CLIPTokenizer(
        vocab=vocabulary, merges=merges, unk_token=END, bos_token=START, eos_token=END,
        pad_token=END, model_max_length=77,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
