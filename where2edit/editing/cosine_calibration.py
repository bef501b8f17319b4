"""The calibration of the natural strength: how much a prompt's cosine varies over faces that nobody has edited.

An encoder's cosines lie elsewhere for every prompt, and a rise of 0.1 is much for one and little for another. The
standard deviation over unedited faces is the unit in which rises compare. It needs no labels, and any prompt has one:
the embeddings of the faces are kept, and their cosines with the prompt's are computed when it is asked for. Ours, not
the paper's.

Legend: N faces, B faces or prompts, D embedding width, R output resolution, s pixels of the preview head's
picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.core.records import Source
from where2edit.editing.blended_walk import previewed, unedited
from where2edit.editing.preview_head import Preview, source_seen
from where2edit.files import manifest, tensorfile
from where2edit.files.fingerprints import network_sha256
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import fitted
from where2edit.generators.base import Generator
from where2edit.text_image.base import TextImage

KIND = "calibration"  # of the file
FIRST_SEED = 5000  # of the faces; regions, their shares, sheets, training and evaluation use others
BATCH = 4  # faces walked at a time
SMALLEST_SPREAD = 1e-6  # of cosines: a rise in units of it must stay finite
ADVICE = "make the calibration with scripts/calibrate.py for this profile, or give a strength as a number"


@dataclass(frozen=True)
class CosineCalibration:
    """Unit embeddings [N,D] of unedited faces; `made_with` says by which networks, at which truncation, of which faces.

    Raises ValueError for fewer than two faces, which have no standard deviation.
    """

    embeddings: Tensor
    made_with: dict[str, str]

    def __post_init__(self):
        if self.embeddings.ndim != 2 or len(self.embeddings) < 2:
            raise ValueError(
                f"a calibration holds embeddings [N,D] of N = 2 or more faces, got {self.embeddings.shape}"
            )

    def spread(self, h: Tensor) -> Tensor:
        """Standard deviation of the faces' cosines with embeddings h [B,D], of any length: [B], above 0."""
        return self._cosines(h).std(0).clamp_min(SMALLEST_SPREAD)

    def below_natural(self, embeddings: Tensor, h: Tensor, share: float) -> Tensor:
        """By how many standard deviations unit embeddings [B,D] of faces lie below natural examples of h [B,D]: [B].

        The natural examples are the `share` of the calibration's faces, at least one, that fit h best, and their level
        is the mean of their cosines. A face that fits better than they do has a negative number.
        """
        cosines = self._cosines(h)
        level = cosines.topk(max(1, round(share * len(cosines))), dim=0).values.mean(0)
        return (level - (embeddings * F.normalize(h, dim=1)).sum(1)) / self.spread(h)

    def _cosines(self, h: Tensor) -> Tensor:
        """Cosines of the faces with embeddings h [B,D]: [N,B]."""
        return self.embeddings.to(h) @ F.normalize(h, dim=1).T

    def save(self, path: str | Path) -> Path:
        """Write the embeddings in half precision as safetensors, with what they were made with in the metadata."""
        return tensorfile.write(path, {"embeddings": self.embeddings.half()}, KIND, self.made_with)

    @classmethod
    def load(
        cls, path: str | Path, generator: Generator, encoder: TextImage, preview: Preview | None
    ) -> CosineCalibration:
        """The calibration in a file, on the generator's device.

        Raises ValueError for a file that is missing or no calibration, and for one that was made with another
        generator, encoder or preview head.
        """
        calibration = cls.read(path)
        for what, here in networks_of(generator, encoder, preview).items():
            if (found := calibration.made_with.get(what, "nothing")) != here:
                got = f"{path} was made with {what.replace('_', ' ')} {found[:12]}, here it is {here[:12]}"
                raise ValueError(f"{got}; {ADVICE}")
        return replace(calibration, embeddings=calibration.embeddings.to(generator.w_mean))

    @classmethod
    def read(cls, path: str | Path) -> CosineCalibration:
        """The calibration in a file, whatever it was made with. Raises ValueError for a file that holds none."""
        tensors, made_with = tensorfile.read(path, KIND, ADVICE)
        shape = tensors.get("embeddings", torch.empty(0)).shape
        expected = {"embeddings": torch.empty(shape, device="meta")}
        found = fitted(tensors, expected, path, "a calibration", ADVICE)["embeddings"]
        if found.ndim != 2 or len(found) < 2 or not (found.norm(dim=1) > 0).all():
            needed = f"embeddings [N,D] of 2 or more faces, none of length 0, got {list(shape)[:6]}"
            raise ValueError(f"{shown(path)} must hold {needed}; {ADVICE}")
        return cls(F.normalize(found, dim=1), made_with)


def calibration_file(calibration: str) -> Path:
    """The file that a config names as its calibration: a path as it stands, or else one of the project."""
    return manifest.found(calibration)


def networks_of(generator: Generator, encoder: TextImage, preview: Preview | None) -> dict[str, str]:
    """What a calibration is valid for: names, and hashes of the encoder's and the preview head's tensors."""
    return {
        "generator": generator.name,
        "encoder": encoder.name,
        "encoder_sha256": network_sha256(encoder),
        "preview_site": "full images" if preview is None else preview.site,
        "preview_head_sha256": "none" if preview is None else network_sha256(preview.head),
    }


@torch.no_grad()
def measure(
    generator: Generator, encoder: TextImage, preview: Preview | None, faces: int, truncation: float
) -> CosineCalibration:
    """Embed `faces` generated faces as natural strength sees its edits: by the preview head, or whole without one.

    `truncation` should be that of the faces that are edited and evaluated, the profile's `generator.truncation`: with
    less truncation faces differ more, and a standard deviation is a larger step.
    """
    found = []
    for start in tqdm(range(0, faces, BATCH), desc="unedited faces", unit="batch"):
        seeds = range(FIRST_SEED + start, FIRST_SEED + min(start + BATCH, faces))
        source = source_seen(generator, generator.w(generator.sample_z(seeds), truncation), preview)
        assert source.image is not None  # it was seen
        found.append(F.normalize(encoder.image(source.image).float(), dim=1))
    about = {"truncation": repr(truncation), "first_seed": str(FIRST_SEED), "faces": str(faces)}
    return CosineCalibration(torch.cat(found), networks_of(generator, encoder, preview) | about)


def canvas_picture(generator: Generator, source: Source, blend_site: str, preview: Preview | None) -> Tensor:
    """The canvas of sources, which earlier edits may have changed, as the preview head shows it [B,3,s,s].

    Without a preview head it is the sources' image [B,3,R,R].
    """
    if preview is None:
        assert source.image is not None  # its walk went to the end
        return source.image
    return previewed(generator, source, unedited(generator, source, blend_site), preview)
