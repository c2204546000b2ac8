"""Presets: named settings in YAML files, shipped ones and the person's own.

    schema: 1
    name: Draft
    about: Eight steps, to look for a seed
    key: 1                  # the digit that picks it
    checkpoint: my-sdxl     # bound: it applies when that checkpoint is chosen
    prompt_prefix: "masterpiece, "
    prompt_suffix: ""
    values: {steps: 8, sampler: Euler a}

A preset may leave values out: they stay what they are. Files are read strictly; a broken one is
reported with its name and never hides the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdtui.params.base import ParamError, Params, build, nearest
from sdtui.params.generate import GenerateParams
from sdtui.params.layers import Layer, Settings

from .atomic import create_bytes, replace_bytes
from .places import Places
from .strict_yaml import YamlError, read_mapping

SCHEMA = 1
KEYS = ("schema", "name", "about", "key", "checkpoint", "prompt_prefix", "prompt_suffix", "values")
DIGITS = range(1, 10)


class PresetError(ValueError):
    """A preset that cannot be used; the message names the file, what is wrong and what is right."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One preset for pictures."""

    name: str
    about: str = ""
    key: int | None = None
    checkpoint: str | None = None
    prompt_prefix: str = ""
    prompt_suffix: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    shipped: bool = False

    @property
    def source(self) -> str:
        """The words that tell where a value came from."""
        return f"preset {self.name}"


def shipped_folder() -> Path:
    """presets/ in the repository, sdtui/presets in the installed package."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "presets"
    return inside if inside.is_dir() else package.parent / "presets"


def load_all(places: Places) -> tuple[list[Preset], list[str]]:
    """Every usable preset (by digit, then by name) and a sentence for each file that is not.

    A preset of the person's own replaces a shipped one of the same name, and takes its digit.
    """
    found: dict[str, Preset] = {}
    problems: list[str] = []
    for folder, shipped in ((shipped_folder(), True), (places.presets, False)):
        for path in sorted((folder / "generate").glob("*.yaml")):
            try:
                preset = read(path, shipped=shipped)
            except PresetError as error:
                problems.append(str(error))
                continue
            found[preset.name.casefold()] = preset
    own = {preset.key for preset in found.values() if not preset.shipped and preset.key}
    presets = [_without_digit(p) if p.shipped and p.key in own else p for p in found.values()]
    presets.sort(key=lambda preset: (preset.key or 99, preset.name.casefold()))
    return presets, problems


def _without_digit(preset: Preset) -> Preset:
    from dataclasses import replace

    return replace(preset, key=None)


def find(places: Places, name: str) -> Preset:
    """The preset called `name` (or whose digit it is). Raises PresetError naming the nearest."""
    presets, problems = load_all(places)
    for preset in presets:
        if preset.name.casefold() == name.casefold() or str(preset.key) == name:
            return preset
    broken = next((text for text in problems if name.casefold() in text.casefold()), "")
    if broken:
        raise PresetError(broken)
    like = nearest(name, tuple(preset.name for preset in presets))
    hint = f"did you mean “{like}”?" if like else "`sdtui presets` lists them"
    raise PresetError(f"there is no preset “{name}”; {hint}")


def read(path: Path, *, shipped: bool = False) -> Preset:
    """Read one file strictly. Raises PresetError."""
    try:
        raw = read_mapping(path)
    except YamlError as error:
        raise PresetError(str(error)) from None
    for key in raw:
        if key not in KEYS:
            like = nearest(str(key), (*KEYS, *GenerateParams.model_fields))
            inside = " inside values" if like in GenerateParams.model_fields else ""
            hint = f"; did you mean “{like}”{inside}?" if like else ""
            raise PresetError(f"{path}: unknown key “{key}”{hint}")
    if raw.get("schema") != SCHEMA:
        raise PresetError(f"{path}: the first line must be “schema: {SCHEMA}”")
    digit = raw.get("key")
    if digit is not None and digit not in DIGITS:
        raise PresetError(f"{path}: key {digit!r} must be a digit from 1 to 9")
    values = raw.get("values") or {}
    if not isinstance(values, dict):
        raise PresetError(f"{path}: values must be a list of “name: value”")
    try:
        build(GenerateParams, values, str(path))
    except ParamError as error:
        raise PresetError(str(error)) from None
    texts = {name: _text(path, raw, name) for name in ("name", "about", "checkpoint",
             "prompt_prefix", "prompt_suffix")}  # fmt: skip
    return Preset(
        name=texts["name"] or path.stem, about=texts["about"], key=digit,
        checkpoint=texts["checkpoint"] or None, prompt_prefix=texts["prompt_prefix"],
        prompt_suffix=texts["prompt_suffix"], values=dict(values), path=path, shipped=shipped,
    )  # fmt: skip


def _text(path: Path, raw: dict[Any, Any], name: str) -> str:
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise PresetError(f"{path}: {name} {value!r} must be text; put it in quotes")
    return value or ""


def apply(preset: Preset, settings: Settings[Any]) -> Settings[Any]:
    """The settings with this preset in place of the last one. The prompt stays unless it names one;
    prefix and suffix are put round it once."""
    values = dict(preset.values)
    if preset.prompt_prefix or preset.prompt_suffix:
        prompt = str(values.get("prompt", settings.value("prompt")))
        if not prompt.startswith(preset.prompt_prefix):
            prompt = preset.prompt_prefix + prompt
        if not prompt.endswith(preset.prompt_suffix):
            prompt = prompt + preset.prompt_suffix
        values["prompt"] = prompt
    prompts = {name: values.pop(name) for name in ("prompt", "negative_prompt") if name in values}
    return settings.with_layer(Layer(preset.source, values), over="preset").edit(**prompts)


def bound_to(presets: list[Preset], checkpoint: str) -> Preset | None:
    """The preset that applies when `checkpoint` is chosen; the person's own first."""
    bound = [preset for preset in presets if preset.checkpoint == checkpoint]
    return min(bound, key=lambda preset: preset.shipped, default=None)


def slug(name: str) -> str:
    """A file name for a preset: letters, digits and dashes only."""
    return re.sub(r"[^\w]+", "-", name.casefold()).strip("-_")[:60] or "preset"


def save(
    places: Places, name: str, values: Mapping[str, Any], *, key: int | None = None,
    about: str = "", replace: bool = False,
) -> Path:  # fmt: skip
    """Write one of the person's own presets.

    Raises:
        PresetError: the name is empty or taken (and `replace` is not set), or a value is wrong.
        OSError: it cannot be written.
    """
    import yaml

    name = name.strip()
    if not name:
        raise PresetError("a preset needs a name")
    if key is not None and key not in DIGITS:
        raise PresetError(f"key {key} must be a digit from 1 to 9")
    _checked(GenerateParams, dict(values), name)
    content: dict[str, Any] = {"schema": SCHEMA, "name": name}
    if about:
        content["about"] = about
    if key:
        content["key"] = key
    content["values"] = dict(values)
    data = yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()
    path = places.presets / "generate" / f"{slug(name)}.yaml"
    if path.exists() and not replace:
        raise PresetError(f"there is a preset “{name}” already")
    if replace:
        replace_bytes(path, data, 0o644)
        return path
    return create_bytes(lambda n: path if n == 0 else path.with_stem(f"{path.stem}-{n}"), data)


def _checked(model: type[Params], values: dict[str, Any], name: str) -> None:
    try:
        build(model, values, f"preset {name}")
    except ParamError as error:
        raise PresetError(str(error)) from None
