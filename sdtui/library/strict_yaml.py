"""YAML that people write by hand, as plain data: no tags, no aliases, limited size and depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MAX_FILE_BYTES, MAX_DEPTH = 64 << 10, 8


class YamlError(ValueError):
    """A file that is not plain YAML; the message names it, the line and what is wrong."""


def read_mapping(path: Path, max_bytes: int = MAX_FILE_BYTES) -> dict[Any, Any]:
    """The file's “name: value” lines; an empty file has none. Raises YamlError."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, twenty times faster
    try:
        if path.stat().st_size > max_bytes:
            raise YamlError(f"{path}: larger than {max_bytes >> 10} kB")
        text = path.read_text(encoding="utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise YamlError(f"{path}: YAML aliases (*name) are not allowed here")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise YamlError(f"{path}: nested too deeply")
        loaded = yaml.load(text, Loader=loader)
    except (OSError, UnicodeDecodeError) as error:
        raise YamlError(f"{path}: cannot be read: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise YamlError(f"{path}: not YAML{line}: {getattr(error, 'problem', error)}") from None
    except ValueError as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"{path}: not YAML: {error}") from None  # a date that does not exist
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise YamlError(f"{path}: it must be a list of “name: value” lines")
    return loaded
