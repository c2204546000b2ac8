"""The text tower, pre-trained alone on captions: without it the U-Net learns colours late.

Every token must tell which attributes have been stated up to it. That needs no pictures, takes two
minutes, and is thrown away afterwards (only the tower stays).
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from . import captions, dataset
from .attributes import BACKGROUND, EYES, HAIR, OUTFIT
from .labels import LABELS
from .stage import Stage, set_rate

WIDTH = 96
BATCH = 32
RATE = 3e-3
POOL = 6000
UNSAID = ("", "no", "braids", "maid headband", "maid", "silver")
"""Classes that no caption of the base set names."""
STATED = {name: tuple(choice for choice in choices if choice not in UNSAID)
          for name, choices in LABELS.items()}  # fmt: skip
"""What a caption can state; class 0 of each is "not yet"."""
COLOURS = {*HAIR, *EYES, *OUTFIT, *BACKGROUND}
GROUPED = {"hair": "hair", "eyes": "eyes", "background": "background", "shirt": "outfit",
           "dress": "outfit", "uniform": "outfit", "twintails": "hair", "cut": "hair"}  # fmt: skip
"""Which colour a noun takes from the words before it."""
PLAIN = {"girl": ("person", "girl"), "boy": ("person", "boy"), "smile": ("mouth", "smile"),
         "frown": ("mouth", "frown"), "mouth": ("mouth", "open mouth"), "hat": ("accessory", "hat"),
         "bow": ("accessory", "hair bow"), "ears": ("accessory", "cat ears"),
         "glasses": ("glasses", "yes"), "blush": ("blush", "yes"),
         "shirt": ("clothing", "shirt"), "dress": ("clothing", "dress"),
         "uniform": ("clothing", "school uniform"), "twintails": ("style", "twintails"),
         "cut": ("style", "bob cut")}  # fmt: skip
"""What a word states by itself."""


def new_tower(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=77,
        projection_dim=WIDTH, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return CLIPTextModel(config)


def stated(words: list[str]) -> list[list[int]]:
    """For each word the class of every attribute stated up to it, in the order of `STATED`."""
    now, phrase, rows = dict.fromkeys(STATED, 0), list[str](), list[list[int]]()

    def state(attribute: str, value: str) -> None:
        if value in STATED[attribute]:
            now[attribute] = STATED[attribute].index(value) + 1

    for word in words:
        if word in (",", "and", "with", "wearing", "on", "a"):
            phrase = []
        else:
            if word in PLAIN:
                state(*PLAIN[word])
            colours = [w for w in phrase if w in COLOURS]
            if word in GROUPED and colours:
                state(GROUPED[word], colours[-1])
            if word == "hair" and phrase:
                state("style", f"{phrase[-1]} hair")
                state("style", f"{phrase[0]} hair")
            if word == "eyes" and "closed" in phrase:
                state("eyes", "closed")
            if word == "background":
                state("pattern", "polka dot" if "dot" in phrase else " ".join(phrase[:1]))
            phrase.append(word)
        rows.append(list(now.values()))
    return rows


def _pool(tokenizer: CLIPTokenizer) -> tuple[Tensor, Tensor]:
    """Token ids (N,77) and classes (N,77,attributes) of captions."""
    words = {number: word.removesuffix("</w>") for word, number in tokenizer.get_vocab().items()}
    ids, classes = [], []
    for index in range(POOL):
        portrait, random = dataset.portrait("train", index), Random(f"text {index}")
        text = captions.varied(portrait, random, empty=0.05)
        row = tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids
        ids.append(row)
        classes.append(stated([words[i] if not words[i].startswith("<|") else "," for i in row]))
    return torch.tensor(ids), torch.tensor(classes)


def train(work: Path, tokenizer: CLIPTokenizer, budget_s: float) -> CLIPTextModel:
    tower = new_tower(tokenizer)
    widths = [len(values) + 1 for values in STATED.values()]
    head = nn.Linear(WIDTH, sum(widths))
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, RATE, (0.9, 0.99), weight_decay=0.01, fused=True)
    parts = {"tower": tower, "head": head, "optimizer": optimizer}
    stage = Stage("text", work, budget_s, parts)
    ids, classes = _pool(tokenizer)
    for step in stage.steps():
        set_rate(optimizer, RATE * min(1.0, (step + 1) / 50) * max(0.02, 1 - stage.share))
        rows = stage.pick(POOL, BATCH)
        logits = head(tower(ids[rows]).last_hidden_state).split(widths, dim=-1)
        pairs = list(zip(logits, classes[rows].unbind(-1), strict=True))
        loss = sum(F.cross_entropy(a.flatten(0, 1), b.flatten()) for a, b in pairs)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        stage.seen += BATCH
        if step % 200 == 199:
            worst = min((a.argmax(-1) == b).float().mean().item() for a, b in pairs)
            print(f"text: {stage.seconds:.0f} s, worst attribute {100 * worst:.1f} %", flush=True)
    return tower
