"""Settings in picture files beyond the recorded ones: our own, others', broken and hostile ones."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdtui.backend import describe
from sdtui.formats.compat import deviations
from sdtui.formats.image_info import (
    EXIF_IFD,
    RULES,
    USER_COMMENT,
    ImageInfoError,
    chosen,
    look,
    read,
)
from sdtui.formats.infotext import parse
from sdtui.formats.infotext_apply import to_values
from sdtui.formats.stealth import MAX_TEXT_BYTES
from sdtui.params.generate import GenerateParams
from tests.vectors_path import DEFAULT

TEXT = "a cat 猫\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 7, Size: 512x512"


def jpeg(folder: Path, comment: bytes, kind: str = "JPEG") -> Path:
    exif = Image.Exif()
    exif[EXIF_IFD] = {USER_COMMENT: comment}
    path = folder / f"x.{kind.lower()}"
    Image.new("RGB", (16, 8)).save(path, kind, exif=exif)
    return path


def png(folder: Path, image: Image.Image | None = None, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    path = folder / "x.png"
    (image or Image.new("RGB", (16, 8))).save(path, pnginfo=info)
    return path


def test_our_own_picture(tmp_path: Path) -> None:
    params = GenerateParams(prompt="a cat 猫", seed=3, steps=9, width=64, height=128)
    text = describe.infotext(params, ("demo", "0123456789"), 3)
    path = tmp_path / "x.png"
    path.write_bytes(describe.png(Image.new("RGB", (64, 128)), text))
    found = read(path)
    assert (found.infotext, found.width, found.height, found.format) == (text, 64, 128, "PNG")
    assert GenerateParams(**to_values(parse(found.infotext)).values) == params
    assert chosen(look(path), "a1111") == found


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
def test_exif_in_either_byte_order(tmp_path: Path, kind: str, order: str) -> None:
    path = jpeg(tmp_path, b"UNICODE\0" + TEXT.encode(order), kind)
    assert read(path).infotext == TEXT
    stored = look(path)
    assert (chosen(stored, "a1111").infotext == TEXT) is (order == "utf-16-be")
    assert bool(deviations(RULES, stored)) is (order == "utf-16-le")


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"ASCII\0\0\0" + TEXT.replace("猫", "").encode(), TEXT.replace("猫", "")),
        (TEXT.encode(), TEXT),
        (b"UNICODE\0" + "Screenshot".encode("utf-16-be"), ""),
        (b"ASCII\0\0\0Screenshot", ""),
        (bytes(8) + b"a caption of a camera", ""),
        (b"", ""),
        (b"UNICODE\0\xff", ""),
    ],
)
def test_comments(tmp_path: Path, comment: bytes, text: str) -> None:
    path = jpeg(tmp_path, comment)
    assert read(path).infotext == text
    if not text and chosen(look(path), "a1111").infotext:
        assert deviations(RULES, look(path))


def test_exif_wins_over_png_text_unless_it_is_junk(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "from text\nSteps: 1, Seed: 2, Size: 8x8")
    texts = {"in exif\nSteps: 1, Seed: 2, Size: 8x8": "in exif", "x": "from text"}
    for comment, prompt in texts.items():
        exif = Image.Exif()
        exif[EXIF_IFD] = {USER_COMMENT: b"UNICODE\0" + comment.encode("utf-16-be")}
        path = tmp_path / "x.png"
        Image.new("RGB", (8, 8)).save(path, pnginfo=info, exif=exif)
        assert parse(read(path).infotext).prompt == prompt


def test_texts_of_other_programs_are_kept_apart(tmp_path: Path) -> None:
    found = read(png(tmp_path, prompt='{"3": {}}', workflow="{}", parameters='{"seed": 1}'))
    assert found.infotext == ""
    assert dict(found.other) == {"prompt": '{"3": {}}', "workflow": "{}"}


def hidden(data: bytes, signature: bytes, bits: int | None = None) -> Image.Image:
    """A picture with `data` in its alpha values."""
    length = 8 * len(data) if bits is None else bits
    whole = signature + struct.pack(">I", length) + data
    ones = "".join(f"{byte:08b}" for byte in whole)
    height = 32
    width = -(-len(ones) // height)
    image = Image.new("RGBA", (width, height), (1, 2, 3, 254))
    for place, bit in enumerate(ones):
        image.putpixel((place // height, place % height), (1, 2, 3, 254 + int(bit)))
    return image


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("data", "signature", "bits", "text"),
    [
        (TEXT.encode(), b"stealth_pnginfo", None, TEXT),
        (_gzip(TEXT.encode()), b"stealth_pngcomp", None, TEXT),
        (_gzip(TEXT.encode()), b"stealth_pnginfo", None, ""),
        (TEXT.encode(), b"stealth_pngcomp", None, ""),
        (b"\xff\xfe", b"stealth_pnginfo", None, ""),
        (TEXT.encode(), b"stealth_pnginfo", 2**32 - 1, None),
        (b"", b"stealth_pngcomp", 0, ""),
        (_gzip(bytes(MAX_TEXT_BYTES + 1)), b"stealth_pngcomp", None, ""),
        (TEXT.encode(), b"stealth_pngxxxx", None, ""),
    ],
    ids=range(9),
)
def test_hidden_in_the_pixels(
    tmp_path: Path, data: bytes, signature: bytes, bits: int | None, text: str | None
) -> None:
    found = read(png(tmp_path, hidden(data, signature, bits)))
    if text is not None:
        assert found.infotext == text


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"],
)
def test_no_picture_is_said_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ImageInfoError, match=r"x\.png is"):
        read(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.png", tmp_path):
        with pytest.raises(OSError):
            read(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    def header(side: int) -> bytes:
        return chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))

    text = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(bytes(80 << 20)))
    for name, chunks in (("size", header(60_000)), ("text", header(8) + text)):
        path = tmp_path / f"{name}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
        with pytest.raises(ImageInfoError):
            read(path)


def test_damaged_pictures_never_raise_anything_else(tmp_path: Path) -> None:
    rng = random.Random(5)
    files = sorted((DEFAULT / "images" / "written_by_a1111_code").glob("[lu]*.*"))
    good = [path.read_bytes() for path in files if "long" not in path.name]
    path = tmp_path / "x.png"
    read_all_the_same = 0
    for _ in range(300):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        del data[rng.choice((len(data), rng.randrange(len(data)))) :]
        path.write_bytes(data)
        try:
            read_all_the_same += isinstance(read(path).infotext, str)
        except ImageInfoError as error:
            assert str(error).startswith(str(path))
    assert 20 < read_all_the_same < 280
