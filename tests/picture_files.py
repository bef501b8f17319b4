"""Files of pictures, whole and broken, that several tests make."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image


@cache
def painted(size=64):
    """A white square with some grey around it on black: a picture, and a mask."""
    picture = Image.new("L", (size, size))
    picture.paste(255, (size // 8, size // 8, size // 2, size // 2))
    picture.paste(200, (size // 2, size // 2, size // 2 + 4, size // 2 + 4))
    return picture


def encoded(kind, picture=None, **options):
    file = io.BytesIO()
    (picture or painted()).save(file, kind, **options)
    return file.getvalue()


def write(path, data):
    path.write_bytes(data)
    return path


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n{} loop\n%%EOF\n"
OTHERS = {
    "nothing": b"",
    "text": b"not a picture",
    "eps": EPS,
    "eps in a wrapper": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, len(EPS)) + bytes(20) + EPS,
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    "zip": b"PK\3\4" + bytes(100),
    "signature of a PNG": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "signature of a JPEG": b"\xff\xd8\xff\xe0" + bytes(64),
    "signature of a TIFF": b"II*\0\xff\xff\xff\xff" + bytes(64),
    "signature of a GIF": b"GIF89a" + bytes(64),
    "signature of a WebP": b"RIFF\xff\0\0\0WEBPVP8 " + bytes(64),
    "signature of a BMP": b"BM" + bytes(64),
    "zeros": bytes(10000),
}
OTHERS |= {kind: encoded(kind) for kind in ("PPM", "ICO", "PCX", "TGA", "SGI", "DIB", "MSP", "XBM", "JPEG2000")
           if kind not in ("MSP", "XBM")}  # fmt: skip
OTHERS["XBM"] = encoded("XBM", painted().convert("1"))


LOSSLESS = {"WEBP": {"lossless": True}}


def noise(size=64, mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, len(mode)), np.uint8)
    return Image.fromarray(pixels.squeeze())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height):
    """A PNG that says it has so many pixels, and has a few."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def bmp(width, height):
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 1000, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(900)


def gif(width, height):
    data = bytearray(encoded("GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def jpeg(width, height):
    data = bytearray(encoded("JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff(width, height):
    data = encoded("TIFF")
    for tag in (256, 257):
        place = next(i for i in (data.find(struct.pack("<HHII", tag, type_, 1, 64)) for type_ in (3, 4)) if i > 0)
        data = data[:place] + struct.pack("<HHII", tag, 4, 1, width if tag == 256 else height) + data[place + 12 :]
    return data


HUGE = {
    "a line": png(1, 120_000_000),
    "a row": png(120_000_000, 1),
    "long side": png(60_001, 2),
    "square": png(11_000, 11_000),
    "bomb": png(100_000, 100_000),
    "most of a PNG": png(2**31 - 1, 2**31 - 1),
    "bmp": bmp(50_000, 50_000),
    "bmp, a line": bmp(1, 2**31 - 1),
    "gif": gif(65_535, 65_535),
    "jpeg": jpeg(65_500, 65_500),
    "tiff": tiff(100_000, 100_000),
    "tiff, a line": tiff(1, 4_000_000_000),
}


def icc(space, tags):
    """A colour profile of version 2 for colours of a kind, with its tags of 20 bytes or less."""
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    date = struct.pack(">6H", 2020, 1, 1, 0, 0, 0)
    head = bytes(8) + b"\x02\x10\0\0mntr" + space + b"XYZ " + date + b"acsp" + bytes(28)
    head = struct.pack(">I", start + len(data)) + head[4:] + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + data


def xyz(*values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


ADOBE = icc(
    b"RGB ",
    {
        b"wtpt": xyz(0.9642, 1, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        **{name: gamma(2.19921875) for name in (b"rTRC", b"gTRC", b"bTRC")},
    },
)
LINEAR_GREY = icc(b"GRAY", {b"wtpt": xyz(0.9642, 1, 0.8249), b"kTRC": gamma(1)})
