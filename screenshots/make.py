"""The pictures of the program in this folder, made from the running program.

    python screenshots/make.py [--only NAME] [--out FOLDER]

Needs tmux and the DejaVu fonts (apt-get install tmux fonts-dejavu). The demo model draws in a home
of its own with fixed seeds; only clocks and the machine's figures differ from run to run.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sdtui.library import catalog, presets, session  # noqa: E402
from sdtui.library.places import Places, find_places  # noqa: E402
from sdtui.params.generate import GenerateParams  # noqa: E402
from sdtui.params.layers import Settings  # noqa: E402

MAID = "1girl, maid, long hair, {hair} hair, {eyes} eyes, smile, simple background"
PROMPT = MAID.format(hair="blue", eyes="red")
PICTURES = [("red", "green"), ("blonde", "blue"), ("green", "brown"), ("purple", "red"),
            ("brown", "green"), ("pink", "blue"), ("black", "red")]  # fmt: skip
SEED = 42
LARGE, USUAL, SMALL = (160, 48), (120, 36), (80, 24)


class Studio:
    """A home with the demo model and some pictures, and terminals to show it in."""

    def __init__(self, home: Path) -> None:
        self.command = [sys.executable, "-m", "sdtui", "--home", str(home)]
        self.env = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        self.remember(find_places(home).prepare())
        for number, (hair, eyes) in enumerate(PICTURES):
            prompt = MAID.format(hair=hair, eyes=eyes)
            self.run("generate", prompt, "--set", f"seed={number + 1}")

    def remember(self, places: Places) -> None:
        """A prompt, a preset and a seed, as if they had been set the last time."""
        suited = catalog.model_layer(catalog.find(places, "demo"))
        settings = Settings(GenerateParams).with_layer(suited, over="model")
        settings = presets.apply(presets.find(places, "Standard"), settings)
        prompts = {"prompt": PROMPT, "negative_prompt": "blurry, text"}
        session.save(places, session.Session(settings.edit(**prompts, seed=SEED)))

    def run(self, *words: str) -> str:
        return subprocess.run(
            [*self.command, *words], check=True, capture_output=True, cwd=ROOT, text=True,
            env={**os.environ, **self.env},
        ).stdout  # fmt: skip

    def open(self, size: tuple[int, int]) -> Terminal:
        terminal = Terminal(self.command, *size, env=self.env)
        terminal.wait_for("Quit")
        terminal.wait_for("▀")
        return terminal


def settled(terminal: Terminal) -> Image.Image:
    """The screen as soon as it stays as it is, the machine's figures aside."""
    before, since = "", time.monotonic()
    while time.monotonic() - since < 30:
        now = re.sub(r"[\d.]+ / [\d.]+ GiB|CPU *\d+ %|━|╸", "",
                     terminal.tmux("capture-pane", "-e", "-p"))  # fmt: skip
        if now == before:
            break
        before = now
        time.sleep(0.7)
    return terminal.picture()


def generate(studio: Studio) -> Image.Image:
    """A finished picture at 160x48."""
    with studio.open(LARGE) as terminal:
        terminal.keys("C-j")
        terminal.wait_for(rf"\d{{5}}-{SEED}\.png")
        return settled(terminal)


def sharpening(studio: Studio) -> Image.Image:
    """While a picture is made, others waiting."""
    with studio.open(USUAL) as terminal:
        studio.run("generate", PROMPT, "--detach", "--set", "steps=150", "--set", "seed=3",
                   "-n", "9")  # fmt: skip
        studio.run("generate", MAID.format(hair="white", eyes="blue"), "--detach")
        try:
            terminal.wait_for(r"[5-7]\d/150")
            return terminal.picture()
        finally:
            cancel_all(studio, terminal)


def preset(studio: Studio) -> Image.Image:
    """What a preset would change."""
    with studio.open(USUAL) as terminal:
        terminal.keys("F9", "3")
        terminal.wait_for("Forty steps")
        return settled(terminal)


def queue(studio: Studio) -> Image.Image:
    """Jobs that run, wait and have ended."""
    with studio.open(USUAL) as terminal:
        studio.run("generate", PROMPT, "--detach", "--set", "steps=150", "--set", "seed=4",
                   "-n", "9")  # fmt: skip
        for hair in ("white", "orange", "silver"):
            studio.run("generate", MAID.format(hair=hair, eyes="blue"), "--detach")
        try:
            terminal.keys("F7")
            terminal.wait_for("Quit")
            terminal.wait_for(r"[4-9]\d/150")
            return terminal.picture()
        finally:
            cancel_all(studio, terminal)


def light(studio: Studio) -> Image.Image:
    """The light theme."""
    with studio.open(USUAL) as terminal:
        terminal.keys("C-t")
        try:
            return settled(terminal)
        finally:
            terminal.keys("C-t")
            settled(terminal)


def small(studio: Studio) -> Image.Image:
    """80x24, as ssh opens it."""
    with studio.open(SMALL) as terminal:
        return settled(terminal)


def cancel_all(studio: Studio, terminal: Terminal) -> None:
    """Nothing runs or waits afterwards."""
    terminal.keys("F7", "X")
    while not re.search(r"0 running, 0 waiting", studio.run("status")):
        time.sleep(0.3)


SHOTS: dict[str, Callable[[Studio], Image.Image]] = {
    "generate": generate, "sharpening": sharpening, "presets": preset, "queue": queue,
    "light": light, "small": small,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=SHOTS, action="append")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sdtui-shots-") as home:
        studio = Studio(Path(home))
        try:
            for name in arguments.only or SHOTS:
                path = arguments.out / f"{name}.png"
                image = SHOTS[name](studio).quantize(256)
                image.save(path, optimize=True)
                print(f"{path}  {image.width}x{image.height}  {path.stat().st_size // 1000} kB")
        finally:
            studio.run("stop")


if __name__ == "__main__":
    main()
