"""Every parameter of a picture. The order here is the order of the form."""

from __future__ import annotations

from .base import Params, param
from .names import Emphasis, PromptList, PromptRules, RandomSource, Sampler, Schedule

MAX_SEED = 2**32 - 1
PICTURE, SAMPLING, MANY, FILES, EXACT = "Picture", "Sampling", "How many", "Files", "Exactness"


class GenerateParams(Params):
    """A request for pictures from a prompt (txt2img)."""

    prompt: str = param(
        "", label="Prompt", group="Prompt", prompt=True,
        help="What the picture should show: tags or a sentence, most important first.",
    )
    negative_prompt: str = param(
        "", label="Negative prompt", group="Prompt", prompt=True, infotext="Negative prompt",
        help="What the picture should not show.",
    )
    checkpoint: str = param(
        "demo", label="Checkpoint", group=PICTURE, choices_from="checkpoints", infotext="Model",
        help="The model that draws; it decides the style more than anything else.",
    )
    vae: str = param(
        "Automatic", label="VAE", group=PICTURE, choices_from="vaes", infotext="VAE", folded=True,
        help="What makes pixels: Automatic takes the file beside the checkpoint, if there is one; "
        "None takes the checkpoint's own.",
    )
    text_encoder: str = param(
        "Automatic", label="Text encoder", group=PICTURE, choices_from="text_encoders", folded=True,
        help="Where a checkpoint has none: another checkpoint or a file in models/text_encoders.",
    )
    width: int = param(
        512, label="Width", group=PICTURE, minimum=64, maximum=4096, step=8, big_step=64,
        multiple_of=8, unit="px", infotext="Size-1",
        help="Width of the picture; 512 suits SD 1.5, 1024 SDXL, larger shows doubled bodies.",
    )
    height: int = param(
        512, label="Height", group=PICTURE, minimum=64, maximum=4096, step=8, big_step=64,
        multiple_of=8, unit="px", infotext="Size-2",
        help="Height of the picture; 512 suits SD 1.5, 1024 SDXL, larger shows doubled bodies.",
    )
    steps: int = param(
        20, label="Steps", group=SAMPLING, minimum=1, maximum=150, big_step=5, infotext="Steps",
        help="How often the noise is refined; 20 to 30 is enough, more only takes longer.",
    )
    cfg_scale: float = param(
        7.0, label="CFG scale", group=SAMPLING, minimum=1, maximum=30, step=0.5, big_step=2,
        infotext="CFG scale",
        help="How strictly the prompt is followed; 5 to 8 is usual, higher burns the colours.",
    )
    sampler: Sampler = param(
        "DPM++ 2M", label="Sampler", group=SAMPLING, infotext="Sampler",
        help="The method that removes noise; the ones with an a go on changing with more steps.",
    )
    schedule: Schedule = param(
        "Automatic", label="Schedule", group=SAMPLING, infotext="Schedule type",
        help="How the noise levels are spaced; Automatic takes what suits the sampler.",
    )
    seed: int = param(
        -1, label="Seed", group=SAMPLING, minimum=-1, maximum=MAX_SEED, big_step=100,
        infotext="Seed",
        help="The number that fixes the noise: same seed, same picture; -1 takes a new one.",
    )
    batch_size: int = param(
        1, label="Batch size", group=MANY, minimum=1, maximum=64,
        help="Pictures made at the same time; faster for many, but each takes memory.",
    )
    batch_count: int = param(
        1, label="Batch count", group=MANY, minimum=1, maximum=1000, big_step=10,
        help="Batches made one after another; needs no more memory.",
    )
    prompt_list: PromptList = param(
        "One prompt", label="Prompt list", group=MANY, folded=True,
        help="Several prompts in one text: lines, every {a|b}, a matrix a|b|c, Easy Diffusion's "
        "{a,b}; each gets the same seeds.",
    )
    clip_skip: int = param(
        1, label="Clip skip", group=EXACT, minimum=1, maximum=12, infotext="Clip skip", folded=True,
        help="Which layer of the text encoder is read; 2 for SD 1.5 anime models, no use in SDXL.",
    )
    emphasis: Emphasis = param(
        "Original", label="Emphasis", group=EXACT, infotext="Emphasis", folded=True,
        help="How (weights) act: Original keeps the mean, No norm suits SDXL, None shows brackets.",
    )
    prompt_rules: PromptRules = param(
        "Current", label="Prompt rules", group=EXACT, infotext="Prompt rules", folded=True,
        help="Whose reading of odd prompts: A1111's own brings back old pictures that need it.",
    )
    random_source: RandomSource = param(
        "NV", label="Random source", group=EXACT, infotext="RNG", folded=True,
        help="Where noise comes from; NV gives the same picture on every machine.",
    )
    deterministic: bool = param(
        False, label="Deterministic", group=EXACT, folded=True,
        help="Make each picture of a batch alone, so it is byte for byte the single one; slower.",
    )
    preview_every: int = param(
        2, label="Preview every", group=FILES, minimum=0, maximum=150, unit="steps", folded=True,
        help="Show the unfinished picture every so many steps; 0 shows none.",
    )
    folder_pattern: str = param(
        "[date]", label="Folder pattern", group=FILES, folded=True,
        help="Folder below outputs/txt2img; [date], [model_name] and A1111's other words work.",
    )
    filename_pattern: str = param(
        "[seed]", label="File pattern", group=FILES, folded=True,
        help="File name after the counter; [seed], [prompt_words] and A1111's other words work.",
    )

    @property
    def images(self) -> int:
        """Pictures this request makes."""
        return self.batch_size * self.batch_count
