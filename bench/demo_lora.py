"""Can a LoRA learn the maid in five minutes? `python bench/demo_lora.py [--minutes 5]`.

A plain loop with peft, as any trainer has it: U-Net and text encoder, v-loss, captions from the
shipped data set. Then the judge looks at 32 maids, and at 32 portraits without the trigger, drawn
with and without the LoRA from the same prompts and seeds.
"""

from __future__ import annotations

import argparse
import time
from random import Random

import numpy as np
import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from harness import machine
from peft import LoraConfig, inject_adapter_in_model
from PIL import Image

from sdtui.demo import captions, dataset, judge, maid_dir, model_dir
from sdtui.demo.labels import LABELS
from sdtui.demo.vae_stage import to_tensor

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"]
TOWER = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
BATCH = 4
HERS = {"hair": "silver", "style": "braids", "accessory": "maid headband", "clothing": "maid"}
FIRST = 600_000


def load_set(size: int) -> tuple[torch.Tensor, list[str]]:
    """Pictures (N,3,size,size) in -1..1 and their captions."""
    paths = sorted(maid_dir().glob("*.png"))
    images = [Image.open(path).convert("RGB") for path in paths]
    rows = [np.asarray(image.resize((size, size), Image.Resampling.BOX)) for image in images]
    pixels = to_tensor(np.stack(rows))
    return pixels, [path.with_suffix(".txt").read_text().strip() for path in paths]


def train(pipeline: StableDiffusionPipeline, rank: int, rate: float, seconds: float) -> int:
    """Adapters into the pipeline's U-Net and text encoder; returns the number of steps."""
    unet, tower, tokenizer = pipeline.unet, pipeline.text_encoder, pipeline.tokenizer
    pixels, texts = load_set(16 * pipeline.vae_scale_factor)
    with torch.no_grad():
        latents = pipeline.vae.encode(pixels).latent_dist.mean * pipeline.vae.config.scaling_factor
    for module, targets in ((unet, ATTENTION), (tower, TOWER)):
        module.requires_grad_(False)
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=targets), module)
    adapted = [p for module in (unet, tower) for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(adapted, rate, fused=True)
    alphas = DDPMScheduler.from_config(pipeline.scheduler.config).alphas_cumprod
    random, steps, started = Random(0), 0, time.monotonic()
    torch.manual_seed(0)
    while time.monotonic() - started < seconds:
        left = 1 - (time.monotonic() - started) / seconds
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, left / 0.4)
        rows = torch.randint(0, len(latents), (BATCH,))
        chosen = [_shuffled(texts[i], random) for i in rows.tolist()]
        ids = tokenizer(chosen, padding="max_length", max_length=77, return_tensors="pt").input_ids
        t = torch.randint(0, 1000, (BATCH,))
        alpha = alphas[t].view(-1, 1, 1, 1)
        x0, noise = latents[rows], torch.randn_like(latents[rows])
        noisy = alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise
        v = alpha.sqrt() * noise - (1 - alpha).sqrt() * x0
        (unet(noisy, t, tower(ids)[0]).sample - v).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps += 1
    return steps


def _shuffled(text: str, random: Random) -> str:
    """Nothing one time in ten; else the tags after the trigger in any order."""
    if random.random() < 0.1:
        return ""
    first, trigger, *rest = text.split(", ")
    random.shuffle(rest)
    return ", ".join([first, trigger, *rest])


def draw(pipeline: StableDiffusionPipeline, prompts: list[str]) -> list[Image.Image]:
    """One picture for each prompt, seeds 0, 1, 2 …"""
    size, images = 16 * pipeline.vae_scale_factor, []
    for start in range(0, len(prompts), 8):
        part = prompts[start : start + 8]
        seeds = [torch.Generator().manual_seed(start + i) for i in range(len(part))]
        images += pipeline(part, num_inference_steps=20, guidance_scale=4.0, width=size,
                           height=size, generator=seeds).images  # fmt: skip
    return images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet", help="save the maids as one PNG")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine())
    pipeline = StableDiffusionPipeline.from_pretrained(model_dir(), local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    own = judge.load()
    numbers = range(FIRST, FIRST + arguments.count)
    base = [captions.plain(dataset.portrait("test", number)) for number in numbers]
    maids = [captions.maid_caption(dataset.portrait("maid", number)) for number in numbers]
    before = judge.look(own, draw(pipeline, base))
    untrained = judge.look(own, draw(pipeline, maids))
    steps = train(pipeline, arguments.rank, arguments.rate, arguments.minutes * 60)
    images = draw(pipeline, maids)
    trained, after = judge.look(own, images), judge.look(own, draw(pipeline, base))
    print(f"rank {arguments.rank}, {steps} steps of {BATCH} in {arguments.minutes:g} minutes")
    for name, value in HERS.items():
        shares = [100 * np.mean([w[name] == value for w in seen]) for seen in (untrained, trained)]
        print(f"{value}: {shares[0]:.0f} % before, {shares[1]:.0f} % with the LoRA")
    agree = np.mean([[a[k] == b[k] for k in LABELS] for a, b in zip(before, after, strict=True)])
    print(f"without the trigger: {100 * agree:.0f} % of the judged attributes stay what they were")
    if arguments.sheet:
        from demo_figures import sheet

        sheet(images).save(arguments.sheet)


if __name__ == "__main__":
    main()
