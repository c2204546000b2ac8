"""The settings stored in a picture file: PNG text, EXIF UserComment, GIF comment, hidden in pixels.

A1111 writes infotext as PNG text “parameters”, and as EXIF UserComment (UTF-16) into JPEG, WebP
and AVIF. `read` gives what it gives; RULES are where we find more or take less for infotext.
"""

from __future__ import annotations

import json
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compat import Compat, Rule
from .infotext import parse
from .stealth import read_stealth

if TYPE_CHECKING:
    from PIL.Image import Image

EXIF_IFD, USER_COMMENT = 0x8769, 0x9286
MAX_FILE_BYTES = 1 << 30
MAX_PIXELS = 1 << 26
"""Larger pictures are not unpacked to look behind or into their pixels."""
OF_THE_FILE = frozenset({
    "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background",
    "timestamp", "duration", "progressive", "progression", "icc_profile", "chromaticity",
    "photoshop", "adobe", "adobe_transform", "transparency", "gamma", "srgb", "interlace",
    "version", "extension", "xmp", "comment", "aspect", "default_image", "bbox", "disposal",
    "blend", "mp", "mpoffset",
})  # fmt: skip
"""What Pillow tells of a file that is no text of its own."""


class ImageInfoError(ValueError):
    """Not a picture, or a broken one; the message says so in a sentence."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Every place of one file in which settings may be stored; None where there is nothing."""

    format: str
    width: int
    height: int
    parameters: str | None = None
    """PNG text."""
    comment: str | None = None
    """EXIF UserComment, else the file's comment."""
    other: Mapping[str, str] | None = None
    """PNG texts under other names: of ComfyUI, InvokeAI, NovelAI, Fooocus …"""
    late: bool = False
    """The texts come after the pixels."""
    little_endian: bool = False
    """The UserComment is UTF-16 in the other byte order than A1111's."""
    stealth: str | None = None
    """Hidden in the lowest bits of the pixels, as Forge does it."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """A picture file and the settings it holds."""

    infotext: str
    """“” where there is none."""
    width: int
    height: int
    format: str
    """PNG, JPEG, WEBP, GIF, AVIF …"""
    other: Mapping[str, str]
    """Texts that are no infotext, by name."""


def read(path: Path, compat: Compat = "sdtui") -> ImageInfo:
    """The settings in a picture file.

    Raises:
        ImageInfoError: it is no picture, or a broken one.
        OSError: it cannot be read.
    """
    return chosen(look(path), compat)


def chosen(stored: Stored, compat: Compat = "sdtui") -> ImageInfo:
    """What counts of all that is stored."""
    other = dict(stored.other or {})
    if compat == "sdtui":
        comment = None if _is_junk(stored.comment) else stored.comment
        text = comment or (None if _is_json(stored.parameters) else stored.parameters)
        text = text or stored.stealth
    else:
        text = stored.comment or stored.parameters
        if stored.little_endian and stored.comment:
            text = stored.comment.encode("utf-16-le", "replace").decode("utf-16-be", "replace")
        if stored.late:
            text, other = None, {}
    if other.get("Software") == "NovelAI":
        text = _from_novelai(stored, other) or text
    return ImageInfo(text or "", stored.width, stored.height, stored.format, other)


def look(path: Path) -> Stored:
    """Everything that is stored in the file. Raises as `read`."""
    from PIL import Image, UnidentifiedImageError

    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise ImageInfoError(f"{path} is not a file")  # a pipe would never end
        if status.st_size > MAX_FILE_BYTES:
            raise ImageInfoError(f"{path} is too large to be a picture")
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # they would be written over the screen
            with Image.open(file) as image:
                return _look(image)
    except (ImageInfoError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise ImageInfoError(f"{path} is not a picture, or a kind that is not known") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise ImageInfoError(f"{path} is broken or cut off ({error})") from None
    except Exception as error:  # Pillow raises all kinds for a broken file
        raise ImageInfoError(f"{path} is broken ({error or type(error).__name__})") from None


def _look(image: Image) -> Stored:
    late, small = False, image.width * image.height <= MAX_PIXELS
    if small and image.format == "PNG" and not _texts(image):
        image.load()  # texts may come after the pixels
        late = bool(_texts(image))
    texts = _texts(image)
    comment, little_endian = _comment(image)
    parameters = texts.pop("parameters", None)
    lossless = image.format in ("PNG", "WEBP")
    bare = small and lossless and not (texts or comment or parameters)
    return Stored(
        format=str(image.format),
        width=image.width,
        height=image.height,
        parameters=parameters,
        comment=comment or None,
        other=texts,
        late=late,
        little_endian=little_endian,
        stealth=read_stealth(image) if bare else None,
    )


def _texts(image: Image) -> dict[str, str]:
    return {
        str(key): str(value)
        for key, value in image.info.items()
        if key not in OF_THE_FILE and isinstance(value, str)
    }


def _comment(image: Image) -> tuple[str, bool]:
    """(EXIF UserComment, or else the comment of the file, whether it is little-endian)."""
    if "exif" in image.info:
        raw = image.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT, b"")
        return _decoded(raw) if isinstance(raw, bytes) else (str(raw), False)
    comment = image.info.get("comment", "")
    return (comment.decode(errors="ignore") if isinstance(comment, bytes) else str(comment)), False


def _decoded(raw: bytes) -> tuple[str, bool]:
    """A UserComment (Exif 2.3, 4.6.5: eight bytes name the encoding) as (text, little-endian)."""
    kind, text = raw[:8], raw[8:]
    if kind == b"UNICODE\0":
        # Latin text in the right order has its zeros at even places; a byte order mark decides.
        zeros = text[0::2].count(0), text[1::2].count(0)
        little = text[:2] == b"\xff\xfe" or (text[:2] != b"\xfe\xff" and zeros[1] > zeros[0])
        order = "utf-16-le" if little else "utf-16-be"
        return text.decode(order, "replace").lstrip("\ufeff").rstrip("\0"), little
    if kind == b"ASCII\0\0\0":
        return text.decode("ascii", "replace").rstrip("\0"), False
    if kind == b"JIS\0\0\0\0\0":
        return text.decode("shift_jis", "replace").rstrip("\0"), False
    if kind == bytes(8):
        return text.decode("latin-1").strip("\0"), False
    return raw.decode(errors="ignore").strip("\0"), False


def _is_junk(comment: str | None) -> bool:
    """macOS writes “Screenshot”, cameras write captions: no infotext has fewer than three pairs."""
    return comment is not None and not parse(comment).params


def _json_of(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_json(text: str | None) -> bool:
    return bool(text) and text.lstrip().startswith("{") and bool(_json_of(text))


_NOVELAI_SAMPLERS = {
    "k_euler_ancestral": "Euler a", "k_euler": "Euler", "k_lms": "LMS", "k_heun": "Heun",
    "k_dpm_2": "DPM2", "k_dpm_2_ancestral": "DPM2 a", "k_dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_2s_ancestral": "DPM++ 2S a", "k_dpmpp_sde": "DPM++ SDE", "ddim": "DDIM",
    "plms": "PLMS",
}  # fmt: skip


def _from_novelai(stored: Stored, other: Mapping[str, str]) -> str:
    """NovelAI's own form as infotext, as A1111 converts it; “” if something is missing."""
    told = _json_of(other.get("Comment"))
    keys = ("uc", "steps", "sampler", "scale", "seed")
    if "Description" not in other or any(key not in told for key in keys):
        return ""
    sampler = _NOVELAI_SAMPLERS.get(str(told["sampler"]), "Euler a")
    return (
        f"{other['Description']}\nNegative prompt: {told['uc']}\n"
        f"Steps: {told['steps']}, Sampler: {sampler}, CFG scale: {told['scale']}, "
        f"Seed: {told['seed']}, Size: {stored.width}x{stored.height}, Clip skip: 2, ENSD: 31337"
    )


RULES = (
    Rule(
        "texts after the pixels are found",
        "a PNG may carry its text behind the picture; A1111 looks only before it",
        lambda stored: stored.late,
    ),
    Rule(
        "settings hidden in the pixels are found",
        "Forge hides infotext in the lowest bits of the picture; A1111 does not look there",
        lambda stored: bool(stored.stealth),
    ),
    Rule(
        "a comment without settings is no infotext",
        "macOS and cameras write words of their own there; A1111 takes them for the prompt",
        lambda stored: bool(stored.comment) and _is_junk(stored.comment),
    ),
    Rule(
        "JSON is no prompt",
        "Fooocus stores JSON where A1111 stores infotext; A1111 takes all of it for the prompt",
        lambda stored: _is_json(stored.parameters),
    ),
    Rule(
        "UTF-16 is read in either byte order",
        "some programs write the EXIF comment in the other order, which A1111 shows as Chinese",
        lambda stored: stored.little_endian,
    ),
)
