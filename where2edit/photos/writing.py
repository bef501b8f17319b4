"""A photo written back: PNG or JPEG, with its colour profile, its alpha, and its tags without those of the place."""

from __future__ import annotations

from pathlib import Path

from PIL import ExifTags, Image

from where2edit.files.atomic import write_bytes
from where2edit.files.pictures import encoded
from where2edit.files.regular import shown
from where2edit.photos.photo import Photo

KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
QUALITY = 95  # of a JPEG, whose colours keep their full resolution
PNG_LEVEL = 3  # of compression: a photo gets hardly smaller, and takes a multiple of the time, with more
Tag = ExifTags.Base
# Tags that say how the old file held its pixels, or which way up; they are wrong in a new one.
LAYOUT = {Tag.Orientation, Tag.ImageWidth, Tag.ImageLength, Tag.BitsPerSample, Tag.Compression, Tag.StripOffsets}
LAYOUT |= {Tag.PhotometricInterpretation, Tag.SamplesPerPixel, Tag.RowsPerStrip, Tag.StripByteCounts, Tag.ColorMap}
LAYOUT |= {Tag.PlanarConfiguration, Tag.Predictor, Tag.TileWidth, Tag.TileLength, Tag.TileOffsets, Tag.TileByteCounts}
LAYOUT |= {Tag.ExtraSamples, Tag.SampleFormat, Tag.JPEGTables, Tag.YCbCrSubSampling, Tag.YCbCrPositioning}
LAYOUT |= {Tag.ReferenceBlackWhite, Tag.NewSubfileType, Tag.SubfileType, Tag.FillOrder, Tag.SubIFDs}
LAYOUT |= {Tag.InterColorProfile, Tag.XMLPacket, Tag.IPTCNAA, Tag.ImageResources}
LAYOUT |= {Tag.JpegIFOffset, Tag.JpegIFByteCount, Tag.TransferFunction}
PARTS = {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}


def write_photo(photo: Photo, path: str | Path, keep_metadata: bool = False) -> Path:
    """Write a photo as PNG, which keeps every pixel, or as JPEG, which changes all a little; by the ending of `path`.

    Its colour profile and its alpha go with it, and its EXIF without the orientation, which the pixels have, the
    thumbnail, which shows the face as it was, and without place and maker's notes unless `keep_metadata`. Raises
    ValueError for another ending and for a JPEG of a photo with clear parts, OSError where it cannot be written.
    """
    path = Path(path)
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{shown(path)} ends in '{shown(path.suffix, 20)}'; a photo is written as .png, or as .jpg")
    if kind == "JPEG" and photo.alpha is not None:
        raise ValueError(
            f"{photo.name} has an alpha channel, which a JPEG cannot hold; let {shown(path, 60)} end in .png"
        )
    picture = Image.fromarray(photo.pixels)
    if photo.alpha is not None:
        picture.putalpha(Image.fromarray(photo.alpha))
    options = {"compress_level": PNG_LEVEL} if kind == "PNG" else {"quality": QUALITY, "subsampling": 0}
    beside = {"icc_profile": photo.profile, "exif": kept_tags(photo.tags, photo.size, keep_metadata)}
    return write_bytes(
        path, encoded(picture, kind, **options, **{key: value for key, value in beside.items() if value})
    )


def kept_tags(tags: Image.Exif, size: tuple[int, int], keep_metadata: bool = False) -> bytes:
    """The EXIF of a new file of `size` pixels, as bytes; b"" where nothing is left, or where it cannot be written."""
    kept = Image.Exif()
    kept.update({tag: value for tag, value in tags.items() if tag not in LAYOUT | PARTS})
    inner = dict(tags.get_ifd(ExifTags.IFD.Exif))
    for tag, pixels in zip((Tag.ExifImageWidth, Tag.ExifImageHeight), size, strict=True):
        if tag in inner:
            inner[tag] = pixels
    inner.pop(ExifTags.IFD.Interop, None)
    if not keep_metadata:
        inner.pop(ExifTags.IFD.MakerNote, None)
    for part, values in ((ExifTags.IFD.Exif, inner), (ExifTags.IFD.GPSInfo, tags.get_ifd(ExifTags.IFD.GPSInfo))):
        if values and (part == ExifTags.IFD.Exif or keep_metadata):
            kept.get_ifd(part).update(values)
            kept[part] = dict(values)
    try:
        return kept.tobytes() if len(kept) else b""
    except Exception:  # tags of kinds that do not belong to their numbers
        return b""
