"""Which A1111 wrote an infotext, as far as it changes how the text must be read."""

from __future__ import annotations

import re

Version = tuple[tuple[int, ...], tuple[int, int], int]
"""(numbers without closing zeros, (kind, number) of a pre-release, commits after it)."""

_DESCRIBED = re.compile(r"([^-]+-[^-]+)-.*")
_VERSION = re.compile(
    r"v?(?P<numbers>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>a|alpha|b|beta|c|rc|pre|preview)[-_.]?(?P<pre_number>\d*))?"
    r"(?:-(?P<post>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>\d*))?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.IGNORECASE,
)
_RELEASED = (9, 0)


def parse_version(text: str | None) -> Version | None:
    """A comparable version, or None for what is none: a hash, Forge's f2.0…, another program.

    "v1.6.0-12-gabcdef" (git describe) is twelve commits after 1.6.0, "v1.7.0-RC" before 1.7.0.
    """
    if not text:
        return None
    described = _DESCRIBED.match(text)
    match = _VERSION.fullmatch((described[1] if described else text).strip())
    if match is None:
        return None
    numbers = [int(number) for number in match["numbers"].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    pre = _RELEASED
    if match["pre"]:
        kind = {"a": 0, "b": 1}.get(match["pre"][0].lower(), 2)
        pre = (kind, int(match["pre_number"] or 0))
    after = match["post"] or match["post_number"]
    return tuple(numbers), pre, int(after) if after else -1


V1_6_0 = parse_version("1.6.0")
V1_7_0_TSNR = parse_version("1.7.0-225")
V1_8_0 = parse_version("1.8.0")
V1_8_0_HIRES_STYLES = parse_version("1.8.0-140")
"""The first after 1.8.0-139."""
V1_9_0 = parse_version("1.9.0")


def older(text: str | None, than: Version | None) -> bool:
    """Whether `text` names a version before `than`; False where it names none."""
    version = parse_version(text)
    return version is not None and than is not None and version < than
