"""Infotext hidden in the lowest bits of a picture's pixels (“stealth pnginfo”, as Forge writes it).

The bits run down the columns, one of each alpha value, or three of each pixel (red, green, blue):
a signature of 15 characters, the length in bits (32 bit), the text in UTF-8, gzipped for the
signatures that end in “comp”.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SIGNATURES = {
    "A": (b"stealth_pnginfo", b"stealth_pngcomp"),
    "RGB": (b"stealth_rgbinfo", b"stealth_rgbcomp"),
}
HEAD_BITS = 8 * 15
LENGTH_BITS = 32
MAX_TEXT_BYTES = 4 << 20
GZIP = 16 + zlib.MAX_WBITS


def read_stealth(image: Image) -> str | None:
    """The hidden text, or None. Raises OSError if the picture itself is broken."""
    for bands, signatures in SIGNATURES.items():
        if image.mode not in ("RGBA", "RGB") or not set(bands) <= set(image.getbands()):
            continue
        head = _bytes(image, bands, 0, HEAD_BITS)
        if head in signatures:
            length = int.from_bytes(_bytes(image, bands, HEAD_BITS, LENGTH_BITS))
            data = _bytes(image, bands, HEAD_BITS + LENGTH_BITS, length)
            return _text(data, compressed=head == signatures[1])
    return None


def _bytes(image: Image, bands: str, start: int, count: int) -> bytes:
    """`count` bits from bit `start`, as far as the picture reaches, most significant first."""
    width, height = image.size
    first, last = start // len(bands), -(-(start + count) // len(bands))
    left, right = first // height, min(width, -(-last // height))
    if left >= right:
        return b""
    from PIL import Image

    columns = image.crop((left, 0, right, height)).transpose(Image.Transpose.TRANSPOSE)
    channels = [columns.getchannel(band).tobytes() for band in bands]
    values = b"".join(bytes(pixel) for pixel in zip(*channels, strict=True))
    values = values[start - left * height * len(bands) :][: count // 8 * 8]
    bits = bytes(48 + (value & 1) for value in values).decode("ascii")
    return int(bits or "0", 2).to_bytes(-(-len(bits) // 8))


def _text(data: bytes, *, compressed: bool) -> str | None:
    """The text of the bytes; None for what is none or would unpack to more than 4 MB."""
    try:
        if compressed:
            unpacker = zlib.decompressobj(GZIP)
            data = unpacker.decompress(data, MAX_TEXT_BYTES)
            if unpacker.unconsumed_tail:
                return None
        return data.decode()
    except (zlib.error, UnicodeDecodeError):
        return None
