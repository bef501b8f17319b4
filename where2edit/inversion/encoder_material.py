"""The faces that an inversion encoder is trained and measured on, made once and kept in files of the run's folder.

Photos are framed like FFHQ by the landmarks that the face detector finds. Generated faces are pictures of the preview
head with the codes that they were made from.

Legend: N faces of s pixels, W numbers of w.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.preprocess import resize
from where2edit.backbones.scrfd import FaceDetector
from where2edit.editing.preview_head import Preview, source_seen
from where2edit.facetext import celeba
from where2edit.facetext.synthetic_faces import to_bytes
from where2edit.files import tensorfile
from where2edit.files.fingerprints import digest, network_sha256
from where2edit.files.picture_reading import read_picture
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import fitted
from where2edit.generators.base import Generator
from where2edit.inversion.face_encoder import SIZE
from where2edit.photos.alignment import Alignment, crop
from where2edit.photos.finding import look
from where2edit.photos.photo import Photo

# Seeds of generated faces, for training and for validation; nothing else here draws seeds as large.
TRAIN_SEEDS, VALIDATION_SEEDS = 20_000_000, 30_000_000
LEAST_TRUNCATION = 0.5  # faces are drawn at truncations from this to 1
BATCH = 8  # faces generated at a time
KIND = "encoder_faces"  # of the files
ADVICE = "delete it, and it is made again"


@dataclass(frozen=True)
class GeneratedFaces:
    """Pictures uint8 [N,3,s,s] of generated faces with the one code [N,W] of each."""

    images: Tensor
    w: Tensor


def framed_photo(path: Path, detector: FaceDetector, size: int = SIZE) -> Tensor | None:
    """The largest face of a picture file as FFHQ frames it, uint8 [3,s,s]; None where no face is found."""
    picture = read_picture(path)
    photo = Photo(path.name, "", np.asarray(picture))
    points, boxes, _ = look(picture, photo.whole, detector)
    if not len(points):
        return None
    largest = int((boxes[:, 2:] - boxes[:, :2]).amax(1).argmax())
    return to_bytes(crop(photo, Alignment.of(points[largest].double().numpy()), size))[0]


def framed_photos(data: Path, names: Sequence[str], path: Path, size: int = SIZE) -> Tensor:
    """The framed faces uint8 [N,3,size,size] of pictures in the folder `data`, kept in the file `path`.

    Pictures without a face, or damaged ones, are left out. Raises ValueError where none is left, and for one that is
    missing.
    """
    if absent := next((name for name in names if not (data / name).is_file()), None):
        raise ValueError(
            f"cannot read {shown(data / absent)}: no such file; --data is the folder of the aligned pictures"
        )

    def make() -> dict[str, Tensor]:
        detector, found = FaceDetector.load(), []
        for name in tqdm(names, desc="frame photos"):
            try:
                face = framed_photo(data / name, detector, size)
            except ValueError as error:
                tqdm.write(f"left out: {error}")
                continue
            found += [] if face is None else [face]
        if not found:
            raise ValueError(
                f"none of the {len(names)} pictures in {shown(data)} shows a face; --data is the folder of CelebA"
            )
        return {"images": torch.stack(found)}

    content = [size, *([name, (data / name).stat().st_size] for name in names)]
    return _kept(path, content, {"images": (torch.uint8, (3, size, size))}, make)["images"]


def generated_faces(
    generator: Generator, preview: Preview | None, first: int, count: int, path: Path, bfloat16: bool = False
) -> GeneratedFaces:
    """`count` faces from seed `first` on, as the preview head shows them, kept in the file `path`; None: as a whole."""

    @torch.no_grad()
    def make() -> dict[str, Tensor]:
        images, codes = [], []
        for start in tqdm(range(first, first + count, BATCH), desc="generate faces"):
            seeds = range(start, min(start + BATCH, first + count))
            truncation = torch.rand(len(seeds), 1, generator=torch.Generator().manual_seed(start)).to(generator.w_mean)
            z = generator.sample_z(seeds)
            centred = generator.mapping(z) - generator.w_mean
            w = generator.w_mean + (LEAST_TRUNCATION + (1 - LEAST_TRUNCATION) * truncation) * centred
            with torch.autocast(w.device.type, torch.bfloat16, enabled=bfloat16):
                image = source_seen(generator, w[:, None].expand(-1, generator.num_w, -1), preview).image
            assert image is not None  # it was seen
            images.append(to_bytes(resize(image.float(), SIZE)).cpu())
            codes.append(w.cpu())
        return {"images": torch.cat(images), "w": torch.cat(codes)}

    seen_by = [] if preview is None else [preview.site, network_sha256(preview.head)]
    content = [network_sha256(generator), first, count, bfloat16, *seen_by]
    shapes = {"images": (torch.uint8, (3, SIZE, SIZE)), "w": (torch.float32, (generator.w_dim,))}
    return GeneratedFaces(**_kept(path, content, shapes, make))


def photo_names(attributes: Path, photos: int, validation: int) -> tuple[list[str], list[str]]:
    """Names of `photos` training pictures and of `validation` held-out ones, both evenly spread over the table."""
    table = celeba.read_attributes(attributes)
    kept = table.validation().nonzero().flatten()
    kept = kept[torch.linspace(0, len(kept) - 1, min(validation, len(kept))).round().long()]
    rows = celeba.training_rows(table, photos)
    return [table.names[row] for row in rows], [table.names[row] for row in kept]


def _kept(
    path: Path,
    content: list,
    shapes: dict[str, tuple[torch.dtype, tuple[int, ...]]],
    make: Callable[[], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """The tensors in the file `path`; where it is missing or was made of something else, `make` makes them anew.

    shapes: the number type and the shape of each but for its first axis. Raises ValueError for a file of other tensors.
    """
    made_of = digest(content)
    if not path.is_file() or tensorfile.read_metadata(path, KIND, ADVICE).get("content") != made_of:
        tensorfile.write(path, make(), KIND, {"content": made_of})
    found, _ = tensorfile.read(path, KIND, ADVICE)
    count = len(next(iter(found.values()), torch.empty(0)))
    expected = {name: torch.empty(count, *rest, dtype=dtype, device="meta") for name, (dtype, rest) in shapes.items()}
    return fitted(found, expected, path, "the faces of this run", ADVICE)
