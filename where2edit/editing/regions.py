"""Regions: k-means on the activations of the blend site, over many generated images (Clus in Eq. 3, released recipe).

With `by_parts` each region of k-means is divided by the part of a face that its cells show, so that brows and eyes are
never one region; this is ours, not the paper's.

Legend: B batch, C channels of the site, r its resolution, k centres, n regions (k, or 25 k where they are divided by
part), D = C + 2(C/16) numbers of a clustered point: the channels and, unless the config leaves them out, its position.
The released "layer 13" is the site "64.conv1" (docs/architecture.md, Vocabulary).
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, TypeAlias

import torch
from torch import Tensor, nn
from tqdm import tqdm

from where2edit.core.bounds import Bounds, Seed, Truncation
from where2edit.core.config import build, check_values
from where2edit.core.memory import require_memory
from where2edit.editing.face_parts import PARTS
from where2edit.editing.part_classifier import PartClassifier
from where2edit.files import tensorfile
from where2edit.files.regular import shown
from where2edit.files.tensor_checks import fitted
from where2edit.generators.base import Generator
from where2edit.ops.extension import Impl, check_impl
from where2edit.ops.kmeans import kmeans

FORMAT = "regions"  # of a file of fitted centres
RegionCount: TypeAlias = Annotated[int, Bounds(1, 1000)]
BATCH = 4  # images walked at a time while the features are collected


@dataclass(frozen=True)
class RegionConfig:
    """How regions are fitted; the defaults are the released recipe."""

    k: RegionCount = 20  # 10 or 20 in the paper (Fig. 2)
    samples: Annotated[int, Bounds(1, 100_000)] = 100  # generated images
    truncation: Truncation = 0.7
    seed: Seed = 42  # of the k-means; the images take the seeds seed, seed + 1, ...
    upsample: Annotated[int, Bounds(1, 16)] = 2  # factor by which the features are enlarged (bilinearly) before the fit
    n_init: Annotated[int, Bounds(1, 1000)] = 10  # k-means++ restarts
    positions: bool = True  # cluster features with their coordinates (released); False: activations alone, as printed
    impl: Impl = "auto"  # reference: scikit-learn
    by_parts: bool = False  # divide each region by the part of a face that a cell shows (part_classifier.py); ours

    def __post_init__(self):
        check_values(self, "regions")
        check_impl(self.impl)


def positional(features: Tensor) -> Tensor:
    """features [B,C,h,w] -> [B,C+2(C/16),h,w]: C/16 copies of x, then of y, from -1 to 1 over the pixels."""
    batch, channels, height, width = features.shape
    copies = channels // 16
    y, x = (torch.linspace(-1, 1, size).to(features) for size in (height, width))
    x = x.expand(batch, copies, height, width)
    y = y[:, None].expand(batch, copies, height, width)
    return torch.cat([features, x, y], dim=1)


def points(features: Tensor, config: RegionConfig) -> Tensor:
    """What is clustered: features [B,C,h,w], with their positions unless the config leaves them out -> [B,D,h,w]."""
    return positional(features) if config.positions else features


@torch.no_grad()
def collect(generator: Generator, config: RegionConfig, blend_site: str) -> Tensor:
    """What is clustered: the site's `points` over `config.samples` generated images, channels last [samples,r,r,D].

    Raises ValueError for a site that writes RGB.
    """
    site = generator.site(blend_site)
    if site.rgb:
        features = ", ".join(s.name for s in generator.sites if not s.rgb)
        raise ValueError(f"generator.blend_site '{site.name}' writes RGB; regions need features: {features}")
    dim = site.channels + (2 * (site.channels // 16) if config.positions else 0)
    size = 4 * config.samples * dim * site.resolution**2  # of float32
    require_memory(size, f"regions.samples is {config.samples}; features of so many faces")
    cells = generator.w_mean.new_empty(config.samples, site.resolution, site.resolution, dim)
    for start in tqdm(range(0, config.samples, BATCH), desc="features", unit="batch", leave=False):
        seeds = range(config.seed + start, config.seed + min(start + BATCH, config.samples))
        source = generator.source(generator.w(generator.sample_z(seeds), config.truncation), upto=site.name)
        features = points(source.features[site.name], config)  # [BATCH,D,r,r]
        cells[start : start + BATCH] = features.permute(0, 2, 3, 1)
    return cells


@torch.no_grad()
def fit(generator: Generator, config: RegionConfig, blend_site: str) -> Regions:
    """Regions fitted by k-means on the pixels of generated images, whose features are enlarged and carry positions.

    The centres are fitted on enlarged features and label those of the site itself: positions run from -1 to 1 at every
    resolution. Raises ValueError as `collect` does.
    """
    cells = collect(generator, config, blend_site)
    result = kmeans(cells, config.k, config.upsample, config.n_init, config.seed, config.impl)
    return Regions(result.centres, config, generator.name, blend_site, result.inertia)


def fit_or_load(
    generator: Generator, config: RegionConfig, blend_site: str, path: str | Path, save: bool = True
) -> Regions:
    """The regions at `path` where they were fitted with this config, on this generator and site; else fit and save.

    A file with other regions, or a damaged one, is replaced. `save`: False writes nothing, where more is to be found
    out about the regions before.
    """
    if Path(path).is_file():
        with suppress(ValueError):
            regions = Regions.load(path)
            regions.check_fitted(generator.name, blend_site, config)
            return regions.to(generator.w_mean.device)
    regions = fit(generator, config, blend_site)
    if save:
        regions.save(path)
    return regions


class Regions(nn.Module):
    """Fitted centres that label every pixel of an image.

    Buffers: centres [k,D]; measured [k,25], the share of each part of a face in a region (region_shares.py), or None.
    `classifier`: what divides the regions by part, or None. `generator` and `site`: names of what they were fitted on.
    `inertia`: the sum of squared distances to the nearest centre over the enlarged points of the fit. Raises ValueError
    where there are not k centres.
    """

    centres: Tensor
    measured: Tensor | None

    def __init__(
        self,
        centres: Tensor,
        config: RegionConfig,
        generator: str,
        site: str,
        inertia: float,
        measured: Tensor | None = None,
        classifier: PartClassifier | None = None,
    ):
        super().__init__()
        if centres.ndim != 2 or len(centres) != config.k:
            raise ValueError(f"centres must be [k={config.k},D], got {list(centres.shape)}")
        self.register_buffer("centres", centres)
        self.register_buffer("measured", measured)
        self.classifier = classifier
        self.config, self.generator, self.site, self.inertia = config, generator, site, inertia

    @property
    def num_regions(self) -> int:
        return len(self.centres) * (1 if self.classifier is None else len(PARTS))

    @property
    def shares(self) -> Tensor | None:
        """Share of each part of a face in each region [n,25]; None where it was not measured."""
        if self.classifier is None:
            return self.measured
        return torch.eye(len(PARTS), device=self.centres.device).repeat(len(self.centres), 1)

    @torch.no_grad()
    def label(self, features: Tensor) -> Tensor:
        """features [B,C,r,r] of the fitted site, before any edit -> labels [B,r,r] in [0,n).

        The label is the number of the nearest centre; where regions are divided by part, 25 times that plus the part.
        Raises ValueError for features of another number of channels.
        """
        cells = points(features.to(self.centres.dtype), self.config)
        if cells.shape[1] != self.centres.shape[1]:
            allowed = f"{self.centres.shape[1]} with positions, as at '{self.site}' of '{self.generator}'"
            raise ValueError(f"features have {cells.shape[1]} channels with positions; the regions need {allowed}")
        # The squared distance |x|^2 - 2 x.c + |c|^2 without |x|^2, which is the same for every centre.
        scores = self.centres.square().sum(1)[:, None] - 2 * self.centres @ cells.flatten(2)  # [k,D] @ [B,D,r*r]
        nearest = scores.argmin(1).view(len(features), *features.shape[2:])
        return nearest if self.classifier is None else nearest * len(PARTS) + self.classifier(features)

    def check_fitted(self, generator: str | None, blend_site: str | None, config: RegionConfig | None = None) -> None:
        """Raise ValueError unless these regions were fitted on that generator and site, with that config; None: any.

        Which implementation fitted them does not matter.
        """
        if generator is not None and self.generator != generator:
            raise ValueError(f"it was fitted on generator '{self.generator}', not '{generator}'")
        if blend_site is not None and self.site != blend_site:
            raise ValueError(f"it was fitted on site '{self.site}', not '{blend_site}'")
        for each in fields(RegionConfig) if config is not None else ():
            asked, fitted = getattr(config, each.name), getattr(self.config, each.name)
            if asked != fitted and each.name != "impl":
                raise ValueError(f"regions.{each.name} is {asked}, and it was fitted with {fitted}")

    def save(self, path: str | Path) -> Path:
        """Write centres, parts and what they were fitted on as safetensors, whole or not at all."""
        metadata = {
            "config": json.dumps(asdict(self.config)),
            "generator": self.generator,
            "site": self.site,
            "inertia": repr(self.inertia),
        }
        return tensorfile.write(path, self.state_dict(), FORMAT, metadata)

    @classmethod
    def load(
        cls,
        path: str | Path,
        generator: Generator | None = None,
        blend_site: str | None = None,
        config: RegionConfig | None = None,
    ) -> Regions:
        """Read saved regions; with `generator`, onto its device.

        Raises ValueError for a file that is missing or no regions, and for regions of another generator, site or config
        than those given.
        """
        if not Path(path).exists():
            raise ValueError(f"{shown(path)} does not exist; fit regions with scripts/cluster.py")
        tensors, metadata = tensorfile.read(path, FORMAT, "it holds no regions; fit them with scripts/cluster.py")
        regions = cls._from_file(tensors, metadata, path)
        try:
            regions.check_fitted(generator and generator.name, blend_site, config)
        except ValueError as error:
            advice = "fit others with scripts/cluster.py and the same options, under another name (name=mine)"
            raise ValueError(f"{shown(path)}: {error}; {advice}") from None
        return regions if generator is None else regions.to(generator.w_mean.device)

    @classmethod
    def _from_file(cls, tensors: dict[str, Tensor], metadata: dict[str, str], path: str | Path) -> Regions:
        """The regions in a file's tensors; older files keep the site inside their config, and know other parts."""
        config = tensorfile.json_entry(metadata, "config", path)
        site = metadata.get("site") or str(config.pop("site", ""))
        generator, inertia = (tensorfile.entry(metadata, key, path) for key in ("generator", "inertia"))
        try:
            known, spread = build(RegionConfig, config, "regions"), float(inertia)
        except ValueError as error:
            raise ValueError(f"{shown(path)} describes its fit wrongly ({shown(error)}); fit it again") from None
        tensors = fitted(tensors, _expected(tensors, known.k), path, "regions", "fit them again")
        classifier = None
        if "classifier.weight" in tensors:
            classifier = PartClassifier(tensors["classifier.weight"], tensors["classifier.bias"])
        return cls(tensors["centres"], known, generator, site, spread, tensors.get("measured"), classifier)


def _expected(tensors: dict[str, Tensor], k: int) -> dict[str, Tensor]:
    """The tensors that a file of k regions must hold; the numbers of a point and of parts are its own."""

    def width(name: str) -> int:
        return tensors[name].shape[-1] if name in tensors and tensors[name].ndim else 0

    shapes = {"centres": (k, width("centres"))}
    if "measured" in tensors:
        shapes["measured"] = (k, width("measured"))
    if any(name.startswith("classifier.") for name in tensors):
        shapes |= {"classifier.weight": (len(PARTS), width("classifier.weight")), "classifier.bias": (len(PARTS),)}
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
