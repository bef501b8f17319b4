"""The faces that facetext and the judge are trained and measured on, kept in files of the run's folder.

Parsed faces are pictures with the label map of face parsing; they are made once, where the folder lacks their file.

Legend: N photos of s x s pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from where2edit.core.config import build
from where2edit.facetext import celeba, packed
from where2edit.facetext.config import EncoderConfig, MaterialConfig
from where2edit.facetext.packed import Faces
from where2edit.facetext.synthetic_faces import TRAIN_SEEDS, VALIDATION_SEEDS, generate, parse
from where2edit.files import tensorfile
from where2edit.files.fingerprints import digest, file_sha256


def training_material(
    config: MaterialConfig, data: Path, table: celeba.AttributeTable, folder: Path, device: str
) -> tuple[Faces, Faces]:
    """Parsed photos of the training rows, and generated training faces.

    data: the folder of the aligned CelebA pictures; folder: where the faces are kept; device: what makes them.
    """

    rows = celeba.training_rows(table, config.parsed)
    names = [table.names[row] for row in rows]

    def photos() -> Faces:
        from where2edit.backbones.face_parsing import FaceParser

        images, readable = celeba.read_images(data, names)
        labels = parse(FaceParser.load(config.parser_size).to(device), images[readable])
        return Faces(images[readable], labels, rows[readable])

    content = digest([file_sha256(data / name, absent="") for name in names])
    parsed = kept(folder / f"parsed_{config.parsed}.safetensors", photos, config.size, content)
    return parsed, _generated(config, folder, f"generated_{config.generated}", TRAIN_SEEDS, config.generated, device)


def validation_material(
    weights: Path, data: Path, attributes: Path, folder: Path
) -> tuple[dict[str, str], EncoderConfig, Tensor, Tensor, Faces]:
    """What a report on these weights needs: their metadata and config, validation photos uint8 [N,3,s,s] with attribute
    values uint8 [N,40], and the generated validation faces.
    """
    about = tensorfile.read_metadata(weights)
    config = build(EncoderConfig, tensorfile.json_entry(about, "config", weights))
    table = celeba.read_attributes(attributes)
    rows = table.validation().nonzero().flatten()
    photos, readable = celeba.read_images(data, [table.names[row] for row in rows], config.material.size)
    photos, rows = photos[readable], rows[readable]
    count = config.material.validation
    faces = _generated(config.material, folder, f"validation_{count}", VALIDATION_SEEDS, count, "cpu")
    return about, config, photos, table.values[rows], faces


def _generated(config: MaterialConfig, folder: Path, name: str, first: int, count: int, device: str) -> Faces:
    """`count` generated faces from seed `first` on."""

    def make() -> Faces:
        from where2edit.backbones.face_parsing import FaceParser
        from where2edit.generators.mobilestylegan import MobileStyleGAN

        generator, parser = MobileStyleGAN.load().to(device), FaceParser.load().to(device)
        return generate(generator, parser, range(first, first + count), config.size)

    return kept(folder / f"{name}.safetensors", make, config.size)


def kept(path: Path, make: Callable[[], Faces], size: int, content: str = "") -> Faces:
    """The faces in a file, at `size` pixels; where the file is missing, `make` makes them and they are written.

    content: the digest of what they are made of. Faces of another content are made anew; files of earlier versions,
    which do not say theirs, are taken as they are.
    """
    about = {"content": content} if content else {}
    if not path.is_file() or tensorfile.read_metadata(path).get("content", content) != content:
        packed.save(path, make(), {"name": path.stem, **about})
    return packed.load(path, size)
