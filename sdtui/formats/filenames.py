"""Names of folders and files from A1111's patterns: [seed], [date], [datetime<%H-%M>] and so on.

`expand` gives A1111's text. `place` makes of two patterns a place below the output folder that any
file system takes and that cannot lie elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .infotext_fields import written_schedule

MAX_PART = 128
"""Characters that one word of a pattern may give."""
MAX_NAME_BYTES = 235
"""Of a folder or a file's name: 255 less counter, dash, ending."""
MAX_WORDS = 8
"""Words of the prompt in [prompt_words]."""
MAX_COUNTER_DIGITS = 9
"""A longer number at the head of a file name is a seed, not a counter."""
TIME_FORMAT = "%Y%m%d%H%M%S"
HASH_DIGITS = 8

_ILLEGAL = str.maketrans(dict.fromkeys('#<>:"/\\|?*\n\r\t', "_"))
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, changes of the writing direction, halves of characters."""
_WORD = re.compile(r"\[([^\[\]]+)\]")
_ARGUMENT = re.compile(r"(.*)<([^>]*)>$")
_BETWEEN_WORDS = re.compile(rf"[\s{re.escape(string.punctuation)}]+")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a pattern can say of a picture."""

    seed: int
    now: datetime
    prompt: str = ""
    """With the text of its styles."""
    negative_prompt: str = ""
    steps: int = 20
    cfg_scale: float = 7.0
    sampler: str = "DPM++ 2M"
    schedule: str = "Automatic"
    width: int = 512
    height: int = 512
    clip_skip: int = 1
    model_name: str = ""
    model_hash: str = ""
    vae_name: str = ""
    """Of a VAE other than the model's own."""
    batch_size: int = 1
    batch_count: int = 1
    index: int = 0
    """Which picture of the job, from 0."""
    first_seed: int | None = None
    last_seed: int | None = None
    """Seeds of the job's first and last picture."""
    denoising_strength: float | None = None
    styles: tuple[str, ...] = ()
    """Names of the styles in the prompt."""
    plain_prompt: str | None = None
    """The prompt without its styles; None where there are none."""
    pixels: Callable[[], bytes] = bytes
    """The picture, for [image_hash]."""


def sanitize(text: str, replace_spaces: bool = True) -> str:
    """Text as a part of a name: no illegal characters, no blanks before, no blank or dot after."""
    if replace_spaces:
        text = text.replace(" ", "_")
    return text.translate(_ILLEGAL).lstrip(" ")[:MAX_PART].rstrip(" .")


def _time(facts: Facts, form: str = "", zone: str = "") -> str:
    try:
        now = facts.now.astimezone(ZoneInfo(zone) if zone else None)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        now = facts.now
    try:
        text = now.strftime(form or TIME_FORMAT)
    except ValueError:
        text = now.strftime(TIME_FORMAT)
    return sanitize(text, False)


def _digest(data: bytes, digits: str, default: int | None) -> str:
    return hashlib.sha256(data).hexdigest()[: int(digits) if digits else default]


def _prompt_words(facts: Facts) -> str:
    words = [word for word in _BETWEEN_WORDS.split(facts.prompt) if word] or ["empty"]
    return sanitize(" ".join(words[:MAX_WORDS]), False)


def _has_prompt(facts: Facts, *wanted: str) -> str:
    """Of every “word|default” the word if the prompt has it, else the default."""
    prompt, found = facts.prompt.lower(), ""
    for choice in filter(None, wanted):
        word, *rest = choice.split("|")
        found += word.lower() if word.lower() in prompt else "".join(rest[:1])
    return sanitize(found)


def _unstyled(facts: Facts) -> str:
    return facts.prompt if facts.plain_prompt is None else facts.plain_prompt


def _schedule(facts: Facts) -> str:
    return written_schedule(facts.sampler, facts.schedule)


def _number_in_job(facts: Facts) -> int | None:
    return facts.index + 1 if facts.batch_size * facts.batch_count > 1 else None


def _number_in_batch(facts: Facts) -> int | None:
    return facts.index % facts.batch_size + 1 if facts.batch_size > 1 else None


def _full_hash(facts: Facts, digits: str = "") -> str:
    return _digest(f"{_unstyled(facts)} {facts.negative_prompt}".encode(), digits, HASH_DIGITS)


WORDS: dict[str, Callable[..., object]] = {
    "seed": lambda f: f.seed,
    "seed_first": lambda f: f.first_seed if f.batch_size > 1 else None,
    "seed_last": lambda f: f.last_seed if f.batch_size > 1 else None,
    "steps": lambda f: f.steps,
    "cfg": lambda f: f.cfg_scale,
    "width": lambda f: f.width,
    "height": lambda f: f.height,
    "styles": lambda f: sanitize(", ".join(f.styles) or "None", False),
    "sampler": lambda f: sanitize(f.sampler, False),
    "scheduler": lambda f: sanitize(_schedule(f), False),
    "sampler_scheduler": lambda f: sanitize(f"{f.sampler} {_schedule(f)}", False),
    "model_hash": lambda f: f.model_hash,
    "model_name": lambda f: sanitize(f.model_name, False),
    "vae_filename": lambda f: sanitize(f.vae_name, False) or "NoneType",
    "date": lambda f: f.now.strftime("%Y-%m-%d"),
    "datetime": _time,
    "job_timestamp": lambda f: f.now.strftime(TIME_FORMAT),
    "prompt_hash": lambda f, n="": _digest(f.prompt.encode(), n, HASH_DIGITS),
    "negative_prompt_hash": lambda f, n="": _digest(f.negative_prompt.encode(), n, HASH_DIGITS),
    "full_prompt_hash": _full_hash,
    "image_hash": lambda f, n="": _digest(f.pixels(), n, None),
    "prompt": lambda f: sanitize(f.prompt),
    "prompt_spaces": lambda f: sanitize(f.prompt, False),
    "prompt_no_styles": lambda f: sanitize(_unstyled(f), False),
    "prompt_words": _prompt_words,
    "batch_number": _number_in_batch,
    "batch_size": lambda f: f.batch_size,
    "generation_number": _number_in_job,
    "hasprompt": _has_prompt,
    "clip_skip": lambda f: f.clip_skip,
    "denoising": lambda f: f.denoising_strength or None,
    "none": lambda f: "",
}
"""Every word and what it gives; None: the word vanishes together with the text before it."""


def expand(pattern: str, facts: Facts) -> str:
    """The text that a pattern gives. Words are known in any case; unknown ones stay."""
    text, position = "", 0
    for match in _WORD.finditer(pattern):
        before, word = pattern[position : match.start()], match[1]
        position = match.end()
        arguments: list[str] = []
        while split := _ARGUMENT.match(word):
            word = split[1]
            arguments.insert(0, split[2])
        try:
            value = WORDS[word.lower()](facts, *arguments)
        except (KeyError, TypeError, ValueError):  # no such word, or not with these arguments
            value = f"[{word}]"
        if value is not None:
            text += f"{before}{value}"
    return text + pattern[position:]


def _clipped(name: str) -> str:
    """The name in at most MAX_NAME_BYTES of UTF-8, with nothing that a terminal would obey."""
    data = _UNSEEN.sub("_", name).encode()[:MAX_NAME_BYTES]
    return data.decode(errors="ignore").strip(" ").rstrip(" .")


def place(folder_pattern: str, file_pattern: str, facts: Facts) -> tuple[PurePath, str]:
    """(a folder below the output folder, the text after the counter; both may be empty).

    “/” and “\\” in a pattern part folders; “..”, “.” and a leading “/” lead nowhere.
    """
    folders = re.split(r"[/\\]", expand(folder_pattern, facts))
    *inner, name = re.split(r"[/\\]", expand(file_pattern, facts))
    return PurePath(*filter(None, map(_clipped, [*folders, *inner]))), _clipped(name)


def next_number(names: Iterable[str], basename: str = "") -> int:
    """One above the highest counter among file names “<basename>-00012-….png”; 0 without any."""
    highest, lead = -1, f"{basename}-" if basename else ""
    for name in names:
        if name.startswith(lead):
            counter = PurePath(name[len(lead) :]).stem.split("-")[0]
            if counter.isascii() and counter.isdigit() and len(counter) <= MAX_COUNTER_DIGITS:
                highest = max(highest, int(counter))
    return highest + 1
