"""`python -m sdtui.demo.build [STAGE …]`: the recipe of the demo model, from nothing to the card.

Each stage leaves its result in the work folder and is passed over when it is there; a stage that
was stopped goes on from its last minute. Budgets are CPU seconds of one core.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from sdtui.library import atomic

from . import (
    captions,
    dataset,
    evaluate,
    judge_stage,
    maid_dir,
    model_dir,
    text_stage,
    tokenizer,
    unet_stage,
    vae_grow,
    vae_stage,
)
from .export import export

STAGES = (
    "draw", "maid", "judge", "text", "vae", "latents", "encoder", "decoder", "unet", "export",
    "evaluate",
)  # fmt: skip
DEFAULT_WORK = Path(".demo-work")


@dataclass(frozen=True)
class Budgets:
    """CPU seconds."""

    judge: float = 160
    text: float = 110
    vae: float = 460
    encoder: float = 120
    decoder: float = 1400
    unet: float = 3000


class Build:
    """The recipe. Every method is one stage and may be called again."""

    def __init__(self, work: Path, target: Path, budgets: Budgets) -> None:
        self.work, self.target, self.budgets = work, target, budgets

    def draw(self) -> None:
        dataset.draw(self.work)

    def maid(self) -> None:
        dataset.write_maid(maid_dir())

    def judge(self) -> None:
        judge_stage.train(self.work, self.budgets.judge)

    def text(self) -> None:
        text_stage.train(self.work, self._words(), self.budgets.text)

    def vae(self) -> None:
        vae_stage.train(self.work, self.budgets.vae)

    def latents(self) -> None:
        unet_stage.encode(self.work, self._small())

    def encoder(self) -> None:
        self._grown_encoder(self.budgets.encoder)

    def decoder(self) -> None:
        self._grown(self.budgets.decoder)

    def unet(self) -> None:
        tower = text_stage.train(self.work, self._words(), self.budgets.text)
        unet = unet_stage.new_unet(text_stage.WIDTH)
        unet_stage.train(self.work, unet, tower, self._words(), self.budgets.unet)

    def export(self) -> None:
        """The averaged weights as they stand, also in the middle of the training."""
        unet = unet_stage.new_unet(text_stage.WIDTH)
        tower = text_stage.new_tower(self._words())
        unet_stage.averaged(self.work, unet, tower)
        export(self.target, unet, self._grown(0), tower)

    def evaluate(self) -> None:
        """Print the table of 64 prompts (bench/demo_figures.py makes the card's, of 256)."""
        portraits = [dataset.portrait("test", index) for index in range(64)]
        images = evaluate.draw(self.target, [captions.plain(portrait) for portrait in portraits])
        print("\n".join(evaluate.lines(evaluate.table(portraits, images))))

    def _words(self) -> CLIPTokenizer:
        folder = self.work / "tokenizer"
        tokenizer.write(folder)
        return CLIPTokenizer.from_pretrained(folder)

    def _small(self) -> AutoencoderKL:
        """The finished 64 px VAE, whitened once and for all."""
        path = self.work / "small.pt"
        vae = vae_stage.new_vae(vae_stage.CHANNELS, 64)
        if not path.exists():
            vae = vae_stage.train(self.work, self.budgets.vae)
            vae_stage.whiten(vae, vae_stage.half_size(dataset.load(self.work, "train", 128)[:600]))
            atomic.replace_bytes(path, vae_stage.packed(vae))
        vae.load_state_dict(torch.load(path, weights_only=True))
        return vae.eval()

    def _pictures(self) -> vae_grow.Pictures:
        return vae_grow.Pictures(self.work, self._small())

    def _grown_encoder(self, budget_s: float) -> AutoencoderKL:
        vae = vae_grow.grow(self._small())
        vae_grow.train_encoder(self.work, vae, self._pictures(), budget_s)
        return vae

    def _grown(self, budget_s: float) -> AutoencoderKL:
        vae = self._grown_encoder(0)
        vae_grow.train_decoder(self.work, vae, self._pictures(), budget_s)
        return vae


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sdtui.demo.build", description=__doc__)
    parser.add_argument("stages", nargs="*", choices=[*STAGES, []], help="default: all, in order")
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="checkpoints and pictures")
    parser.add_argument("--target", type=Path, default=model_dir(), help="the model's folder")
    parser.add_argument("--threads", type=int, default=1)
    for name, seconds in vars(Budgets()).items():
        parser.add_argument(f"--{name}-s", type=float, default=seconds, help="CPU seconds")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    budgets = Budgets(**{name: getattr(arguments, f"{name}_s") for name in vars(Budgets())})
    build = Build(arguments.work, arguments.target, budgets)
    for stage in arguments.stages or STAGES:
        getattr(build, stage)()


if __name__ == "__main__":
    main()
