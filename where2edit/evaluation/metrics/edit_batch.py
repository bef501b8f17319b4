"""A batch of edits as metrics read it: images, masks, and what the frozen networks say of them.

Legend: B edits of the batch, R output resolution, D width of an embedding, C concepts of the judge. Images are in
[-1,1].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.face_parsing import region_mask
from where2edit.backbones.preprocess import resize
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.certificate import allowed_region
from where2edit.evaluation.networks import MetricNetworks

LPIPS_SIZE = 256  # pixels at which LPIPS compares images
CHANGED = 1 / 127.5  # a pixel counts as changed when a channel moves by more than one of 255 levels


class AnalysedImages:
    """Images [B,3,R,R] and what the frozen networks say of them; each is computed once, when it is first read."""

    def __init__(self, images: Tensor, networks: MetricNetworks):
        self.images, self.networks = images, networks
        self._embeddings: dict[str, Tensor] = {}

    @cached_property
    def labels(self) -> Tensor:
        """Face parsing: int64 [B,R,R] at the resolution of the images, by nearest resize."""
        labels = self.networks["face_parsing"].labels(self.images)
        return F.interpolate(labels[:, None].float(), self.images.shape[2:], mode="nearest")[:, 0].long()

    @cached_property
    def at_lpips_size(self) -> Tensor:
        """The images as LPIPS reads them."""
        return resize(self.images, LPIPS_SIZE)

    @cached_property
    def judged(self) -> Tensor:
        """The judge's logits [B,C], one for each of its concepts."""
        with torch.no_grad():
            return self.networks["judge"](self.images)

    def embedding(self, network: str) -> Tensor:
        """The embedding [B,D] of the images by a network; of unit length, except the features of "inception"."""
        if network not in self._embeddings:
            net = self.networks[network]
            with torch.no_grad():
                value = net.image(self.images) if hasattr(net, "image") else net(self.images)
            self._embeddings[network] = value.float() if network == "inception" else F.normalize(value.float(), dim=1)
        return self._embeddings[network]


@dataclass(frozen=True)
class EditBatch:
    """One batch of edits with everything that a metric may read."""

    index: Tensor  # [B] number of each sample in its protocol; equal numbers of two methods are the same sample
    source: Source
    condition: Condition
    edit: Edit
    before: AnalysedImages  # of source.image
    after: AnalysedImages  # of edit.image
    regions: tuple[tuple[str, ...], ...] = ()  # per sample: the face regions that its prompt names
    concepts: tuple[str | None, ...] = ()  # per sample: the judge's concept that its prompt asks for
    halo: int = 0  # output pixels past the mask that the generator can reach
    threshold: float = 0.8  # a cell is edited where its region attention is at least this
    seconds: float | None = None  # what the edit of the whole batch took
    leak: int | None = None  # PhotoCertificate.leak of an edit that was put back into its photo

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def difference(self) -> Tensor:
        """Largest channel of |edited - source| per pixel: [B,R,R], in [0,2]."""
        assert self.edit.image is not None and self.source.image is not None
        return (self.edit.image - self.source.image).abs().amax(1)

    @cached_property
    def outside_region(self) -> Tensor:
        """True where a pixel is in none of the regions that the prompt names, before or after: bool [B,R,R]."""
        inside = [
            region_mask(self.before.labels[i], *names) | region_mask(self.after.labels[i], *names)
            for i, names in enumerate(self.regions)
        ]
        return ~torch.stack(inside)

    @cached_property
    def outside_mask(self) -> Tensor:
        """True where a pixel is out of reach: outside the mask's active cells grown by the halo; bool [B,R,R]."""
        size = self.before.images.shape[-1]
        return ~allowed_region(self.edit.mask, self.halo, size)[:, 0]

    @cached_property
    def perceptual(self) -> tuple[Tensor, Tensor]:
        """LPIPS of source and edit: the distance [B] and its map [B,LPIPS_SIZE,LPIPS_SIZE]."""
        if self.after is self.before:  # the edit changed nothing
            zero = self.before.images.new_zeros(len(self), LPIPS_SIZE, LPIPS_SIZE)
            return zero[:, 0, 0], zero
        with torch.no_grad():
            layers = self.before.networks["lpips"].layers(self.before.at_lpips_size, self.after.at_lpips_size)
        whole = [F.interpolate(m, (LPIPS_SIZE, LPIPS_SIZE), mode="bilinear", align_corners=False) for m in layers]
        return reduce(torch.add, [m.mean((1, 2, 3)) for m in layers]), reduce(torch.add, whole)[:, 0]

    @cached_property
    def text(self) -> dict[str, Tensor]:
        """Unit prompt embeddings [B,D] by encoder name, filled on first use through `text_of`."""
        return {}

    def text_of(self, encoder: str) -> Tensor:
        """Unit embedding [B,D] of each sample's prompt by the encoder of that name."""
        if encoder not in self.text:
            with torch.no_grad():
                embedded = self.before.networks[encoder].text(list(self.condition.prompts))
            self.text[encoder] = F.normalize(embedded.float(), dim=1)
        return self.text[encoder]
