"""Prompts to what the U-Net reads, in chunks of 75 tokens as AUTOMATIC1111 does.

Each chunk is BOS + 75 tokens + EOS, encoded alone; the results are joined along the token axis. If
a chunk is full and a comma lies at most 20 tokens back, what follows the comma moves on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .load import Model

CHUNK = 75
COMMA_BACK = 20


def chunks_of(tokens: list[int], comma: int) -> list[list[int]]:
    """Split token ids into chunks of at most 75, at a comma where one is near. Never empty."""
    chunks: list[list[int]] = [[]]
    last_comma = -1
    for token in tokens:
        chunk = chunks[-1]
        if len(chunk) == CHUNK:
            moved: list[int] = []
            if token != comma and last_comma >= 0 and CHUNK - 1 - last_comma <= COMMA_BACK:
                moved = chunk[last_comma + 1 :]
                del chunk[last_comma + 1 :]
            chunk = moved
            chunks.append(chunk)
            last_comma = -1
        if token == comma:
            last_comma = len(chunk)
        chunk.append(token)
    return chunks


def _comma(model: Model) -> int:
    return int(model.tokenizer.convert_tokens_to_ids(",</w>"))


@torch.inference_mode()
def encode(model: Model, prompt: str, clip_skip: int = 1) -> Tensor:
    """`prompt` as context (1, 77 * chunks, width).

    Args:
        clip_skip: 1 = the last layer; n = the n-th from the end, then the final layer norm.
    """
    tokenizer = model.tokenizer
    tokens = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
    pieces = []
    for chunk in chunks_of(list(tokens), _comma(model)):
        padding = [tokenizer.eos_token_id] * (CHUNK - len(chunk))
        row = [tokenizer.bos_token_id, *chunk, *padding, tokenizer.eos_token_id]
        ids = torch.tensor([row], device=model.device)
        output = model.text_encoder(ids, output_hidden_states=clip_skip > 1)
        hidden = output.last_hidden_state
        if clip_skip > 1:
            layers = output.hidden_states
            hidden = _final_norm(model.text_encoder)(layers[-min(clip_skip, len(layers) - 1)])
        pieces.append(hidden)
    return torch.cat(pieces, dim=1)


def _final_norm(encoder: torch.nn.Module) -> torch.nn.Module:
    """transformers 5.6 made CLIPTextModel flat; before, it had a `text_model` inside."""
    inner = getattr(encoder, "text_model", encoder)
    return inner.final_layer_norm  # type: ignore[no-any-return]
