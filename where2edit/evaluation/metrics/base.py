"""What every metric shares: the case it reads, the frozen networks behind it, and update / compute / merge.

Legend: B batch, R output resolution, N samples so far, K numbers that a metric keeps of one sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.backbones.arcface import ArcFace
from where2edit.backbones.face_parsing import FaceParser, region_mask
from where2edit.backbones.facenet import FaceNet
from where2edit.backbones.inception import Inception
from where2edit.backbones.preprocess import resize
from where2edit.backbones.vgg import LPIPS
from where2edit.core.records import Condition, Edit, Source
from where2edit.core.registry import nearest
from where2edit.evaluation.metrics.intervals import Interval, bootstrap

LPIPS_SIZE = 256  # pixels
CHANGED = 1 / 127.5  # a pixel counts as changed when a channel moves by more than one of 255 levels
LOADERS: dict[str, Callable] = {
    "inception": Inception.load,
    "face_parsing": FaceParser.load,
    "arcface": ArcFace.load,
    "facenet": FaceNet.load,
    "lpips": LPIPS.load,
}


class Tools:
    """Frozen networks by name, each loaded when it is first asked for.

    `given` adds to or replaces the loaders above: networks (or any values) under their names, such as
    "train_encoder" and "heldout_encoder" (text-image encoders), "inception_logits" and "real_features" ([M,2048]).
    """

    def __init__(self, given: Mapping[str, object] | None = None, device: torch.device | str = "cpu"):
        self._ready = dict(given or {})
        self.device = device

    def give(self, name: str, value: object) -> None:
        """Add or replace one network."""
        self._ready[name] = value

    def has(self, name: str) -> bool:
        return name in self._ready or name in LOADERS

    def __getitem__(self, name: str):
        """The network. Raises ValueError for a name that was neither given nor can be loaded."""
        if name not in self._ready:
            if name not in LOADERS:
                raise ValueError(f"'{name}' was not given to Tools; {nearest(name, {*LOADERS, *self._ready})}")
            self._ready[name] = LOADERS[name]().to(self.device)
        return self._ready[name]


class View:
    """Images [B,3,R,R] and what the frozen networks say of them, each computed once, when it is first asked for."""

    def __init__(self, images: Tensor, tools: Tools):
        self.images, self.tools = images, tools
        self._embeddings: dict[str, Tensor] = {}

    @cached_property
    def labels(self) -> Tensor:
        """Face parsing: int64 [B,R,R] at the resolution of the images, by nearest resize."""
        labels = self.tools["face_parsing"].labels(self.images)
        return F.interpolate(labels[:, None].float(), self.images.shape[2:], mode="nearest")[:, 0].long()

    @cached_property
    def at_lpips_size(self) -> Tensor:
        """The images as LPIPS reads them."""
        return resize(self.images, LPIPS_SIZE)

    @cached_property
    def judged(self) -> Tensor:
        """The judge's logits [B,C], one for each of its concepts."""
        with torch.no_grad():
            return self.tools["judge"](self.images)

    def embedding(self, network: str) -> Tensor:
        """What a network makes of the images, [B,D], of length one unless it is the FID network."""
        if network not in self._embeddings:
            net = self.tools[network]
            with torch.no_grad():
                value = net.image(self.images) if hasattr(net, "image") else net(self.images)
            self._embeddings[network] = value.float() if network == "inception" else F.normalize(value.float(), dim=1)
        return self._embeddings[network]


@dataclass(frozen=True)
class Case:
    """One batch of edits as metrics read it."""

    index: Tensor  # [B] number of each sample in its protocol; equal numbers of two methods are the same sample
    source: Source
    condition: Condition
    edit: Edit
    before: View  # of source.image
    after: View  # of edit.image
    regions: tuple[tuple[str, ...], ...] = ()  # per sample: the face regions that its prompt names
    concepts: tuple[str | None, ...] = ()  # per sample: the judge's concept that its prompt asks for
    halo: int = 0  # output pixels past the mask that the generator can reach
    threshold: float = 0.8  # region attention from which on a cell is edited
    seconds: float | None = None  # what the edit of the whole batch took

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def difference(self) -> Tensor:
        """Largest channel of |edited - source| per pixel: [B,R,R], in [0,2]."""
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
        size = self.source.image.shape[-1]
        active = F.interpolate((self.edit.mask > 0).float(), (size, size), mode="nearest")
        return grow(active, self.halo)[:, 0] == 0

    @cached_property
    def perceptual(self) -> tuple[Tensor, Tensor]:
        """LPIPS of source and edit at LPIPS_SIZE: the distance [B] and its map [B,H,W]."""
        if self.after is self.before:
            zero = self.source.image.new_zeros(len(self), LPIPS_SIZE, LPIPS_SIZE)
            return zero[:, 0, 0], zero
        with torch.no_grad():
            layers = self.before.tools["lpips"].layers(self.before.at_lpips_size, self.after.at_lpips_size)
        whole = [F.interpolate(m, (LPIPS_SIZE, LPIPS_SIZE), mode="bilinear", align_corners=False) for m in layers]
        return sum(m.mean((1, 2, 3)) for m in layers), sum(whole)[:, 0]

    @cached_property
    def text(self) -> dict[str, Tensor]:
        """Unit prompt embeddings [B,D] by encoder name, filled on first use through `text_of`."""
        return {}

    def text_of(self, encoder: str) -> Tensor:
        """Unit embedding [B,D] of each sample's prompt by the encoder of that name."""
        if encoder not in self.text:
            with torch.no_grad():
                embedded = self.before.tools[encoder].text(list(self.condition.prompts))
            self.text[encoder] = F.normalize(embedded.float(), dim=1)
        return self.text[encoder]


def grow(active: Tensor, pixels: int) -> Tensor:
    """`active` [B,1,H,W] in {0,1} grown by `pixels` to every side (a square neighbourhood)."""
    for dim, pad in ((2, (0, 0, pixels + 1, pixels)), (3, (pixels + 1, pixels, 0, 0))) if pixels else ():
        # A window holds something where the running sum rises across it; whole numbers, exact in float32.
        total = F.pad(active, pad).cumsum(dim)
        size = active.shape[dim]
        active = (total.narrow(dim, 2 * pixels + 1, size) > total.narrow(dim, 0, size)).to(active)
    return active


class Metric(ABC):
    """One figure of a set of edits. A subclass measures K numbers of each sample and says how they become one figure.

    State is the measured numbers themselves: halves merge exactly in any order, and every figure has an interval.
    """

    higher_is_better: bool | None  # None: neither, a fact that other figures are read beside
    needs: tuple[str, ...] = ()  # names of the Tools it reads
    protocol: str  # one sentence: what exactly is measured, at which resolution, over which pixels
    width: int = 1  # K
    reads_regions: bool = False  # whether it needs the regions that the prompt names
    of_set: bool = False  # a figure of the set as a whole, no mean over samples; its bootstrap is centred on the figure

    def __init__(self, tools: Tools | None = None):
        self.tools = tools or Tools()
        self.index = torch.zeros(0, dtype=torch.int64)
        self.values = torch.zeros(0, self.width)

    @abstractmethod
    def measure(self, case: Case) -> Tensor:
        """[B,K] of a batch; a row that is not a number does not count (such as a region that is not in the picture)."""

    def scores(self, values: Tensor) -> Tensor:
        """One number of each measured row: [N,K] -> [N]. Raises ValueError where only the set has a figure."""
        if self.width > 1 or self.of_set:
            raise ValueError(f"{type(self).__name__} is no mean over samples: only the set as a whole has a figure")
        return values[:, 0]

    def figure(self, values: Tensor) -> float:
        """The figure of measured rows [N,K] in double precision; by default the mean of their scores."""
        return float(self.scores(values).mean())

    def detail(self, values: Tensor) -> str:
        """A few words that a report puts beside the figure of measured rows [N,K]."""
        return ""

    def update(self, case: Case) -> None:
        """Measure one batch. Raises ValueError when the case lacks what the metric reads."""
        if self.reads_regions and len(case.regions) != len(case):
            kind = type(self).__name__
            raise ValueError(f"{kind} needs the regions that each of {len(case)} prompts names, got {case.regions}")
        self.insert(case.index, self.measure(case))

    def insert(self, index: Tensor, values: Tensor) -> None:
        """Add rows [B,K] that were measured before, such as those of a stopped run. A sample counts once."""
        values = values.detach().float().cpu().view(len(index), self.width)
        known = torch.isin(index.cpu(), self.index)
        if known.any():
            raise ValueError(f"samples {index[known].tolist()[:5]} are already in this {type(self).__name__}")
        self.index, self.values = torch.cat([self.index, index.cpu()]), torch.cat([self.values, values])

    def merge(self, other: Metric) -> None:
        """Take in the samples of another process's metric of the same kind."""
        if type(other) is not type(self):
            raise ValueError(f"a {type(self).__name__} cannot take in a {type(other).__name__}")
        self.insert(other.index, other.values)

    def state(self) -> dict[str, Tensor]:
        """The samples so far, ordered by number: index [N] and values [N,K]."""
        order = self.index.argsort()
        return {"index": self.index[order], "values": self.values[order]}

    def rows(self) -> Tensor:
        """The rows that count, ordered by sample number, in double precision: [n,K]."""
        values = self.state()["values"].double()
        return values[~values.isnan().any(1)]

    def compute(self) -> float:
        """The figure so far. Raises ValueError before the first sample that counts."""
        rows = self.rows()
        if not len(rows):
            raise ValueError(f"{type(self).__name__} has no sample that counts; update it with at least one case")
        return self.figure(rows)

    def interval(self, replicates: int = 200, seed: int = 0, level: float = 0.95) -> Interval:
        """Bootstrap interval of `compute` over samples."""
        return bootstrap(self.rows(), self.figure, replicates, seed, level, centred=self.of_set)
