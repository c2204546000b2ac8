"""The U-Net and the text tower together: v-prediction, and colours before details.

What made the trials follow their prompts: the plain v-loss (min-SNR gives the noisy steps, where
colours are decided, almost no weight), timesteps shifted towards noise at first, and a text tower
that already reads. Latents around the face weigh more, because eyes and mouth are few cells.
"""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from sdtui.library import atomic

from . import captions, dataset
from .muon import Both
from .stage import Ema, Stage, set_rate
from .vae_stage import SCALING, face_weights, to_tensor

CHANNELS = (48, 96, 128)
BATCH = 16
MUON_RATE, ADAM_RATE, TOWER_RATE = 0.02, 1e-3, 1e-3
OUTER = ("conv_in", "conv_out", "time_embedding")
SCHEDULE = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "prediction_type": "v_prediction",
    "clip_sample": False, "steps_offset": 1,
}  # fmt: skip
FACE_WEIGHT = 3.0
DECAY_FROM = 0.6
"""From this share of the budget on the learning rate falls."""


def new_unet(width: int) -> UNet2DConditionModel:
    """For 16x16 latents and a text tower of `width`."""
    return UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, block_out_channels=CHANNELS,
        layers_per_block=1, cross_attention_dim=width, attention_head_dim=(2, 3, 4),
        norm_num_groups=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


def encode(work: Path, small: AutoencoderKL) -> None:
    """Scaled latents of every block of pictures that has none yet, by the whitened 64 px VAE."""
    for path in sorted((work / "pictures").glob("train-*.npy")):
        target = work / "latents" / path.name
        if target.exists():
            continue
        rows = np.load(path)
        with torch.no_grad():
            halves = (F.avg_pool2d(to_tensor(rows[i : i + 16]), 2) for i in range(0, len(rows), 16))
            parts = [small.encode(x).latent_dist.mean * SCALING for x in halves]
        buffer = io.BytesIO()
        np.save(buffer, torch.cat(parts).numpy())
        atomic.replace_bytes(target, buffer.getvalue())
        print(f"latents: {path.name}", flush=True)


def load_latents(work: Path, size: int) -> Tensor:
    """(N,4,size/8,size/8); row i belongs to picture i."""
    paths = sorted((work / "latents").glob(f"train-{size}-*.npy"))
    return torch.from_numpy(np.concatenate([np.load(path) for path in paths]))


def shift(share: float) -> float:
    """How strongly timesteps lean to noise: 3, then 2, then 1.3."""
    return 3.0 if share < 0.15 else 2.0 if share < 0.6 else 1.3


def rate(share: float, step: int) -> float:
    """The learning rates' common factor, 0..1."""
    falling = max(0.02, (1 - share) / (1 - DECAY_FROM)) if share > DECAY_FROM else 1.0
    return min(1.0, (step + 1) / 100) * falling


class Trainer:
    """Everything the loop needs, made once."""

    def __init__(
        self, work: Path, unet: UNet2DConditionModel, tower: CLIPTextModel,
        tokenizer: CLIPTokenizer, budget_s: float,
    ) -> None:  # fmt: skip
        self.unet, self.tower, self.tokenizer = unet, tower, tokenizer
        self.latents = {size: load_latents(work, size) for size in (128, 192, 256)}
        self.parameters = [*unet.parameters(), *tower.parameters()]
        self.inner = Both(unet, MUON_RATE, ADAM_RATE, OUTER)
        self.outer = torch.optim.AdamW(
            tower.parameters(), TOWER_RATE, (0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.ema = Ema(self.parameters)
        parts = {"unet": unet, "tower": tower, "ema": self.ema}
        parts |= {"muon": self.inner, "adam": self.outer}
        self.stage = Stage("unet", work, budget_s, parts)
        self.alphas = DDPMScheduler(**SCHEDULE).alphas_cumprod

    def tokens(self, indices: Tensor) -> Tensor:
        """Captions of pictures, new ones each time (B,77); simple ones in the first tenth."""
        texts = []
        for index in indices.tolist():
            portrait = dataset.portrait("train", index)
            random = Random(f"caption {self.stage.seen} {index}")
            if self.stage.share < 0.1:
                texts.append("" if random.random() < 0.1 else captions.plain(portrait))
            else:
                texts.append(captions.varied(portrait, random))
        options = {"padding": "max_length", "max_length": 77, "truncation": True}
        return torch.tensor(self.tokenizer(texts, **options).input_ids)

    def loss(self, size: int, batch: int) -> Tensor:
        """Weighted squared error of v on a random batch (Salimans & Ho 2022)."""
        stage, data = self.stage, self.latents[size]
        rows = stage.pick(len(data), batch)
        x0 = data[rows]
        u = (torch.arange(batch) + torch.rand(batch, generator=stage.generator)) / batch
        lean = shift(stage.share)
        t = (lean * u / (1 + (lean - 1) * u) * 1000).long().clamp(0, 999)
        alpha = self.alphas[t].view(-1, 1, 1, 1)
        noise = stage.normal(x0.shape)
        noisy = alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise
        v = alpha.sqrt() * noise - (1 - alpha).sqrt() * x0
        context = self.tower(self.tokens(rows)).last_hidden_state
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        error = (self.unet(noisy, t, context).sample - v).square()
        return (error * face_weights(x0.shape[-1], FACE_WEIGHT)).mean()

    def run(self) -> None:
        """Until the budget is used up; one step in eight is of larger pictures."""
        losses = list[float]()
        for step in self.stage.steps():
            factor = rate(self.stage.share, step)
            self.inner.rate(factor)
            set_rate(self.outer, TOWER_RATE * factor)
            large = step % 8 == 7
            size = (192, 256)[step // 8 % 3 == 2] if large else 128
            batch = {128: BATCH, 192: BATCH // 2, 256: BATCH // 4}[size]
            loss = self.loss(size, batch)
            loss.backward()
            nn.utils.clip_grad_norm_(self.tower.parameters(), 1.0)
            self.outer.step()
            self.outer.zero_grad(set_to_none=True)
            self.inner.step()
            self.ema.update()
            self.stage.seen += batch
            losses.append(loss.item())
            if step % 200 == 199:
                print(f"unet: {self.stage.seconds:.0f} s, {self.stage.seen} pictures, "
                      f"loss {np.mean(losses[-200:]):.4f}", flush=True)  # fmt: skip


def train(
    work: Path, unet: UNet2DConditionModel, tower: CLIPTextModel, tokenizer: CLIPTokenizer,
    budget_s: float,
) -> None:  # fmt: skip
    """Train both in place and leave the averaged weights in them."""
    unet.to(memory_format=torch.channels_last).train()
    trainer = Trainer(work, unet, tower.train(), tokenizer, budget_s)
    trainer.run()
    trainer.ema.swap()


def averaged(work: Path, unet: UNet2DConditionModel, tower: CLIPTextModel) -> None:
    """Give both the averaged weights of the last checkpoint, finished or not."""
    state = torch.load(work / "unet.pt", weights_only=True)
    parameters = [*unet.parameters(), *tower.parameters()]
    with torch.no_grad():
        for parameter, average in zip(parameters, state["ema"]["average"], strict=True):
            parameter.copy_(average)
