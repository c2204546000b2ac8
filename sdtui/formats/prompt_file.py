"""Prompts from a file, one a line: plain, or with settings as A1111's script reads them.

a cat on a mat
--prompt "a cat" --negative_prompt "blurry" --steps 20 --sampler_name "Euler a" --seed 5
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from .prompt_lists import lines
from .sampler_names import SAMPLER_TRAITS, resolve_names

Value = str | int | float | bool


class LineError(ValueError):
    """A line that cannot be read; the message says why."""


def _true(text: str) -> bool:
    return text == "true"


OPTIONS: dict[str, Callable[[str], Value]] = {
    "sd_model": str, "outpath_samples": str, "outpath_grids": str, "prompt_for_display": str,
    "styles": str, "seed": int, "subseed_strength": float, "subseed": int,
    "seed_resize_from_h": int, "seed_resize_from_w": int, "sampler_index": int,
    "sampler_name": str, "batch_size": int, "n_iter": int, "steps": int, "cfg_scale": float,
    "width": int, "height": int, "restore_faces": _true, "tiling": _true,
    "do_not_save_samples": _true, "do_not_save_grid": _true,
}  # fmt: skip
PROMPTS = ("prompt", "negative_prompt")
OURS = {
    "prompt": "prompt", "negative_prompt": "negative_prompt", "sd_model": "checkpoint",
    "seed": "seed", "batch_size": "batch_size", "n_iter": "batch_count", "steps": "steps",
    "cfg_scale": "cfg_scale", "width": "width", "height": "height",
}  # fmt: skip
"""A1111's option -> our parameter."""


@dataclass(frozen=True)
class Line:
    """What one line asks for."""

    values: dict[str, Value]
    """Parameter -> value."""
    ignored: tuple[str, ...] = ()
    """Options that mean nothing here."""


def read_options(line: str) -> dict[str, Value]:
    """The options of one line under A1111's names. A prompt goes on to the next option.

    Raises:
        LineError: an unknown option, a missing or wrong value, a quote that is not closed.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise LineError(f"a quote is not closed ({error})") from None
    found: dict[str, Value] = {}
    at = 0
    while at < len(words):
        word, name = words[at], words[at].removeprefix("--")
        if name == word:
            raise LineError(f"an option must start with “--”, not “{word}”")
        if name not in PROMPTS and name not in OPTIONS:
            raise LineError(f"there is no option {word}")
        end = at + 2
        while name in PROMPTS and end < len(words) and not words[end].startswith("--"):
            end += 1
        if at + 1 >= len(words):
            raise LineError(f"{word} has no value")
        text = " ".join(words[at + 1 : end])
        try:
            found[name] = OPTIONS.get(name, str)(text)
        except ValueError:
            raise LineError(f"{word} needs a number, not “{text}”") from None
        at = end
    return found


def read_line(line: str) -> Line:
    """One line: a plain prompt, or options if it starts with “--”. Raises LineError."""
    if not line.lstrip().startswith("--"):
        return Line({"prompt": line.strip()})
    options = read_options(line)
    values = {OURS[name]: value for name, value in options.items() if name in OURS}
    if "sampler_name" in options:
        values["sampler"], values["schedule"] = resolve_names(str(options["sampler_name"]), None)
    elif "sampler_index" in options:
        names = list(SAMPLER_TRAITS)
        index = int(options["sampler_index"])
        if not 0 <= index < len(names):
            raise LineError(f"--sampler_index must be from 0 to {len(names) - 1}")
        values["sampler"] = names[index]
    known = {*OURS, "sampler_name", "sampler_index"}
    return Line(values, tuple(name for name in options if name not in known))


def read(text: str) -> list[Line]:
    """Every line of a file; blank ones are none. Raises LineError naming the line."""
    found = []
    for number, line in enumerate(lines(text), 1):
        try:
            found.append(read_line(line))
        except LineError as error:
            raise LineError(f"prompt {number}: {error}") from None
    return found
