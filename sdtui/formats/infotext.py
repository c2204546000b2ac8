"""Infotext: the settings of a picture as text, as A1111 writes them into files.

    prompt, any number of lines
    Negative prompt: any number of lines
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Version: v1.10.1

`parse` reads it, `format_infotext` writes it. What reading means in detail (which line counts,
what a pair is, which older forms are converted) is A1111 1.10.1's rule; `compat` chooses other
programs' rules, and RULES are where we do better by default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import attention
from .compat import Compat, Rule, deviations
from .infotext_defaults import filled
from .styles import Style, extract_all
from .versions import V1_8_0_HIRES_STYLES, older

Params = dict[str, object]

NEGATIVE = "Negative prompt:"
HIRES_PROMPT, HIRES_NEGATIVE = "Hires prompt", "Hires negative prompt"
MINIMUM_PAIRS = 3
MAX_LINE = 100_000
MAX_KEY = 100
"""Characters; what is longer is no parameter line and no key (see RULES)."""

_KEY = rf"\w[\w \-/]{{1,{MAX_KEY - 1}}}"
_VALUE = r'("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)'
_PAIR = re.compile(rf"({_KEY}):\s*{_VALUE}")
_PAIR_A1111 = re.compile(rf"(\w[\w \-/]+):\s*{_VALUE}")
_PAIR_1_6_0 = re.compile(rf"\s*([\w ]+):\s*{_VALUE}")
_PAIRS: dict[Compat, re.Pattern[str]] = {"sdtui": _PAIR, "a1111-1.6.0": _PAIR_1_6_0}
_KEY_AT_END = re.compile(rf"({_KEY})$")
_KEY_LIKE = re.compile(r"[\w \-/]+")
_SIZE = re.compile(r"(\d+)x(\d+)$")
_STEPS = re.compile(r"(?:^|,\s*)(?=Steps:\s*\d+\s*(?:,|$))")
_JSON_START = re.compile(r":\s*(?=[\[{])")
_VALUE_ENDS = re.compile(r"\s*(?:,|$)")


@dataclass(frozen=True)
class Infotext:
    """What an infotext says."""

    prompt: str
    negative_prompt: str
    params: Params
    """Key -> value in the order of the text: strings as written, quotes undone, sizes split into
    "Size-1" and "Size-2"."""
    styles: tuple[str, ...] = ()
    """Names of the styles found in the prompts and taken out of them."""
    compat: Compat = "sdtui"

    def filled(self) -> Params:
        """Everything A1111 makes of the text: defaults, converted old forms, version rules.

        The keys "Prompt" and "Negative prompt" are among them.
        """
        return filled(self)


def quote(value: object) -> str:
    """A value as it stands in the text: quoted like JSON if it has a comma, colon or newline."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r"[,:\n]", text) else text


def format_infotext(prompt: str, negative_prompt: str, params: Mapping[str, object]) -> str:
    """The text A1111 would write; values that are None are left out."""
    pairs = [
        key if key == value else f"{key}: {quote(value)}"
        for key, value in params.items()
        if value is not None
    ]
    negative = f"\n{NEGATIVE} {negative_prompt}" if negative_prompt else ""
    return f"{prompt}{negative}\n{', '.join(pairs)}".strip()


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _pairs(line: str, compat: Compat) -> list[tuple[str, str]]:
    return _PAIRS.get(compat, _PAIR_A1111).findall(line)


def looks_like_parameters(line: str, compat: Compat = "sdtui") -> bool:
    """Whether a line counts as the parameter line: at least three pairs."""
    too_long = compat == "sdtui" and len(line) > MAX_LINE
    return not too_long and len(_pairs(line, compat)) >= MINIMUM_PAIRS


def _without_json(line: str) -> tuple[str, Params]:
    """The line with every balanced JSON list or object taken out, and these by their key."""
    found: Params = {}
    position = 0
    while start := _JSON_START.search(line, position):
        position = start.end()
        before = max(0, start.start() - MAX_KEY)
        key = _KEY_AT_END.search(line[before : start.start()])
        try:
            _, end = json.JSONDecoder().raw_decode(line, position)
        except (ValueError, RecursionError):
            continue
        if key is None or not _VALUE_ENDS.match(line, end):
            continue
        found[key[1].strip()] = line[position:end]
        position = before + key.start(1)
        line = line[:position].rstrip() + line[end:].lstrip().removeprefix(",")
    return line, found


def _read_pairs(line: str, compat: Compat) -> Params:
    """The parameters of the parameter line; a later key wins, an empty value is dropped."""
    blobs: Params = {}
    if compat == "sdtui":
        line, blobs = _without_json(line)
    params: Params = {}
    for key, raw in _pairs(line, compat):
        value = _unquoted(raw)
        size = _SIZE.match(value)
        if size:
            params[f"{key}-1"], params[f"{key}-2"] = size.groups()
        elif raw:
            params[key] = value
    return params | blobs


def _split(lines: list[str], compat: Compat) -> tuple[list[str], str]:
    """(the lines of the prompts, the parameter line or nothing)."""
    if looks_like_parameters(lines[-1], compat):
        if compat == "sdtui" and (parts := _prompt_and_parameters(lines[-1])):
            return [*lines[:-1], parts[0]], parts[1]
        return lines[:-1], lines[-1]
    if compat == "sdtui" and (index := _earlier_parameters(lines)) is not None:
        return lines[:index], lines[index]
    return lines, ""


def _prompt_and_parameters(line: str) -> tuple[str, str] | None:
    """(prompt, parameters) of a parameter line that has text without a key before "Steps: n"."""
    start = _STEPS.search(line)
    if start is None or start.end() == 0 or _pairs(line[: start.start()], "sdtui"):
        return None
    return line[: start.start()], line[start.end() :]


def _earlier_parameters(lines: list[str]) -> int | None:
    """The parameter line when other lines come after it: it starts with "Steps: n"."""
    for index in range(len(lines) - 2, -1, -1):
        line = lines[index].strip()
        if re.match(r"Steps:\s*\d+\s*,", line) and looks_like_parameters(line):
            return index
    return None


def _prompts(lines: Sequence[str]) -> tuple[str, str]:
    """(prompt, negative prompt): every line stripped, empty ones kept except at the start."""
    prompts: tuple[list[str], list[str]] = ([], [])
    which = 0
    for line in lines:
        line = line.strip()
        if line.startswith(NEGATIVE):
            which, line = 1, line.removeprefix(NEGATIVE).strip()
        if line or prompts[which]:
            prompts[which].append(line)
    return "\n".join(prompts[0]), "\n".join(prompts[1])


def parse(text: str, compat: Compat = "sdtui", styles: Sequence[Style] = ()) -> Infotext:
    """Read an infotext; any text is one (a prompt without settings).

    `styles` are those to be recognised in the prompts.
    """
    lines, parameters = _split(text.strip().split("\n"), compat)
    prompt, negative = _prompts(lines)
    params = _read_pairs(parameters, compat)
    found, *bare = extract_all(styles, prompt, negative)
    if _hires_prompts_have_styles(params, compat):
        hires = [str(params.get(HIRES_PROMPT, prompt)), str(params.get(HIRES_NEGATIVE, negative))]
        hires_found, *hires_bare = extract_all(styles, *hires)
        if hires_found != found:  # a style of one pass only cannot be told from its prompt
            return Infotext(prompt, negative, params, (), compat)
        for key, own, text in zip((HIRES_PROMPT, HIRES_NEGATIVE), bare, hires_bare, strict=True):
            if key in params:
                params[key] = text if text != own else ""
    return Infotext(bare[0], bare[1], params, tuple(found), compat)


def _hires_prompts_have_styles(params: Params, compat: Compat) -> bool:
    """Since 1.8.0-139 A1111 writes the hires prompts with their styles."""
    there = HIRES_PROMPT in params or HIRES_NEGATIVE in params
    version = str(params.get("Version", ""))
    return there and compat != "a1111-1.6.0" and not older(version, V1_8_0_HIRES_STYLES)


def _last_line(text: str) -> str:
    return text.strip().split("\n")[-1]


def _too_long(text: str) -> bool:
    line = _last_line(text)
    keys = (match for match in _KEY_LIKE.finditer(line) if line.startswith(":", match.end()))
    return len(line) > MAX_LINE or any(len(key[0]) > MAX_KEY for key in keys)


def _on_one_line(text: str) -> bool:
    line = _last_line(text)
    return looks_like_parameters(line) and _prompt_and_parameters(line) is not None


def _trailing_lines(text: str) -> bool:
    lines = text.strip().split("\n")
    return not looks_like_parameters(lines[-1]) and _earlier_parameters(lines) is not None


def _holds_json(text: str) -> bool:
    parameters = _split(text.strip().split("\n"), "sdtui")[1]
    return bool(_without_json(parameters)[1])


def _weights_deviate(text: str) -> bool:
    read = parse(text)
    return any(deviations(attention.RULES, one) for one in (read.prompt, read.negative_prompt))


RULES = (
    Rule(
        "a prompt on the parameter line is kept",
        "“cat, Steps: 20, …” pasted as one line loses its prompt in A1111",
        _on_one_line,
    ),
    Rule(
        "lines after the parameter line are left out",
        "extensions write “Template: …” below it and people paste remarks; A1111 then takes all "
        "of it for the negative prompt",
        _trailing_lines,
    ),
    Rule(
        "a JSON value is read whole",
        "Civitai writes “Hashes: {…}” and “Civitai resources: […]”, whose commas A1111 takes "
        "for the ends of values",
        _holds_json,
    ),
    Rule(
        "weights are read by our own rules",
        "A1111 fails on a prompt with (a:1.2.3); here “Emphasis” is told for every prompt",
        _weights_deviate,
    ),
    Rule(
        f"a parameter line has at most {MAX_LINE} characters, a key {MAX_KEY}",
        "a text made for it would keep A1111 busy for hours, and anybody can paste one",
        _too_long,
    ),
)
