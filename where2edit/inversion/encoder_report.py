"""What an inversion encoder is worth: held-out photos drawn again through the preview head, and codes found again.

Legend: N faces of s pixels. Figures are means over the faces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.arcface import ArcFace
from where2edit.backbones.preprocess import resize
from where2edit.backbones.vgg import LPIPS
from where2edit.core.sentences import figure
from where2edit.editing.preview_head import Preview, source_seen
from where2edit.generators.base import Generator
from where2edit.inversion.base import InversionEncoder
from where2edit.inversion.encoder_material import GeneratedFaces

BATCH = 8  # faces at a time
COLUMNS = ("lpips_vgg_128", "l2_128", "id_arcface", "w_error", "w_cosine")
Row = dict[str, float]


@torch.no_grad()
def measure(
    encoder: InversionEncoder,
    generator: Generator,
    preview: Preview | None,
    photos: Tensor,
    faces: GeneratedFaces,
    lpips: LPIPS,
    arcface: ArcFace,
) -> Row:
    """The figures of an encoder, by COLUMNS.

    Of photos uint8 [N,3,s,s]: LPIPS (VGG), mean squared error and ArcFace's cosine of the preview head's picture, where
    pictures are in [-1,1]. Of generated faces: the squared error of w, mean over sites, as a share of their variance
    around the mean face, and its cosine with the true w, both seen from the mean face.
    """
    rows = []
    for chunk in photos.split(BATCH):
        images = chunk.to(generator.w_mean.device).float() / 127.5 - 1
        drawn = source_seen(generator, encoder(images), preview).image
        assert drawn is not None  # it was seen
        drawn = resize(drawn, images.shape[-1]).clamp(-1, 1)
        same = (arcface(drawn) * arcface(images)).sum(1)
        rows.append(torch.stack([lpips(drawn, images), (drawn - images).square().mean((1, 2, 3)), same], 1))
    error, cosine = _codes(encoder, generator, faces)
    return dict(zip(COLUMNS, [*torch.cat(rows).mean(0).tolist(), error, cosine], strict=True))


def _codes(encoder: InversionEncoder, generator: Generator, faces: GeneratedFaces) -> tuple[float, float]:
    """The error of w as a share of its variance, and its cosine with the true one."""
    device = generator.w_mean.device
    found = [encoder(chunk.to(device).float() / 127.5 - 1) for chunk in faces.images.split(BATCH)]
    centred, true = torch.cat(found) - generator.w_mean, faces.w.to(device)[:, None] - generator.w_mean
    error = (centred - true).square().sum(2).mean() / true.square().sum(2).mean()
    return float(error), float(F.cosine_similarity(centred, true.expand_as(centred), dim=2).mean())


def table(rows: Mapping[str, Row], columns: Sequence[str] = COLUMNS) -> str:
    """The figures of several encoders, by their names, as a Markdown table."""
    lines = [f"| encoder | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join(
        lines + [f"| {name} | {' | '.join(figure(row[c], '.3f') for c in columns)} |" for name, row in rows.items()]
    )
