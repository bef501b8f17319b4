"""Blending: threshold, blur and mix, and the proof that nothing leaks (the paper's "careful scheme").

Legend: B batch, C channels, r blend resolution, R output resolution. Masks M are [B,1,r,r] in [0,1].

Bit-exactness rests on two facts: `torch.lerp` returns its first argument at weight 0 and its second at weight 1, and a
convolution gives an output pixel the same bits whatever stands outside its receptive field. On CPU the bits of 4 and
8 px convolutions may depend on the size of the batch (which sizes, the processor decides), those from 16 px on do not:
a blend shows it nowhere outside its mask, and inside only where source and edits are batches of two sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.records import Certificate, Source
from where2edit.generators.base import Canvas, Generator, Site


@dataclass(frozen=True)
class BlendingConfig:
    """From region attention to mask; the defaults are the released settings."""

    threshold: float = 0.8  # attention below becomes 0; 0 keeps all of it
    straight_through: bool = True  # the threshold passes the gradient as if it were not there
    binary: bool = False  # True: attention at or above the threshold becomes 1 instead of keeping its value
    blur: int = 5  # width of the Gaussian in mask cells, odd; 1 means none
    sigma: float = 1.1  # its standard deviation in mask cells

    def __post_init__(self):
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"blending.threshold is {self.threshold}; allowed: 0 to 1 (0.8 in the released code)")
        if self.blur < 1 or self.blur % 2 == 0:
            raise ValueError(f"blending.blur is {self.blur}; give an odd number of cells, 1 for no blur")
        if self.sigma <= 0:
            raise ValueError(f"blending.sigma is {self.sigma}; give a positive number of cells")


def threshold_mask(attention: Tensor, config: BlendingConfig) -> Tensor:
    """Region attention [B,1,r,r] in [0,1] -> the same with everything below the threshold at 0.

    With `straight_through` the gradient passes unchanged everywhere, so that a closed region can open again.
    """
    on = attention >= config.threshold
    hard = on.to(attention.dtype) if config.binary else torch.where(on, attention, 0)
    # attention - attention.detach() is exactly 0: it carries the gradient and no value.
    return hard.detach() + (attention - attention.detach()) if config.straight_through else hard


def blur_mask(mask: Tensor, config: BlendingConfig) -> Tensor:
    """Gaussian blur with reflect padding, [B,1,r,r] -> [B,1,r,r].

    Computed in float64, so that a mask of ones stays exactly 1 and one of zeros exactly 0 after rounding back.
    """
    reach = config.blur // 2
    if reach == 0:
        return mask
    if reach >= min(mask.shape[2:]):
        size = "x".join(map(str, mask.shape[2:]))
        raise ValueError(
            f"blending.blur {config.blur} is too wide for a {size} mask; give at most {2 * min(mask.shape[2:]) - 1}"
        )
    at = torch.arange(-reach, reach + 1, device=mask.device, dtype=torch.float64)
    weight = (-0.5 * (at / config.sigma) ** 2).exp()
    weight = weight / weight.sum()
    padded = F.pad(mask.double(), (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, weight.view(1, 1, 1, -1)), weight.view(1, 1, -1, 1)).to(mask.dtype)


def make_mask(region_attention: Tensor, config: BlendingConfig) -> Tensor:
    """Region attention a-bar [B,1,r,r] -> the mask M that blends: threshold, then blur."""
    return blur_mask(threshold_mask(region_attention, config), config)


def resize_mask(mask: Tensor, resolution: int) -> Tensor:
    """Nearest-neighbour resize to [B,1,resolution,resolution]; the mask itself where it has that size."""
    if mask.shape[2:] == (resolution, resolution):
        return mask
    return F.interpolate(mask, size=(resolution, resolution), mode="nearest")


def blend(edited: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """M edited + (1 - M) source: exactly the source where M = 0 and exactly the edit where M = 1.

    edited, source: [B,C,h,w]; mask: [B,1,r,r], resized to h.
    """
    # torch.where at the ends would be exact too, but would cut the gradient that the threshold passes straight through.
    # Under autocast the edit arrives in bfloat16; it is the source whose bits must survive.
    return torch.lerp(source, edited.to(source), resize_mask(mask, edited.shape[-1]).to(source))


@dataclass(frozen=True)
class Blended:
    """A blended canvas and everything that was written from the blend site on."""

    canvas: Canvas
    after: str  # the last site that was walked
    features: dict[str, Tensor] = field(default_factory=dict)  # site -> [B,C,h,w]
    rgb: dict[str, Tensor] = field(default_factory=dict)  # site -> cumulative [B,3,h,w]

    def written(self, site: Site, canvas: Canvas, keep: bool) -> Blended:
        """The next step's result; `keep` also files what it wrote."""
        name = "rgb" if site.rgb else "features"
        filed = {name: {**getattr(self, name), site.name: canvas.written(site)}} if keep else {}
        return replace(self, canvas=canvas, after=site.name, **filed)


def blended_sites(generator: Generator, site: str) -> tuple[Site, ...]:
    """The blend site, and the RGB site of its resolution (with all between) where the generator has an RGB skip.

    Raises ValueError for a site that writes RGB: blending it alone is not local.
    """
    start = generator.site(site)
    if start.rgb:
        allowed = ", ".join(s.name for s in generator.sites if not s.rgb)
        raise ValueError(f"blend site '{site}' writes RGB, which is not local; choose features: {allowed}")
    later = generator.sites[generator.sites.index(start) :]
    same = [s for s in later if s.resolution == start.resolution]
    return tuple(same) if has_rgb_skip(generator) else (start,)


def has_rgb_skip(generator: Generator) -> bool:
    """Whether RGB is accumulated over several sites instead of being read out once at the end."""
    return sum(site.rgb for site in generator.sites) > 1


def blended_trunk(generator: Generator, source: Source, styles: dict[str, Tensor], mask: Tensor, site: str) -> Blended:
    """Walk with the edit's styles u through the blend site and its RGB, each blended once with the same mask.

    The features at `site` and the cumulative RGB after it are the only tensors that are blended; a site between the two
    (for a blend at "64.conv0") runs on the blended features with the source's style. Both source tensors come from
    `source.features` and `source.rgb`, which for sequential edits hold an earlier blended canvas.
    """
    _check(generator, source, mask, site)
    start, *between = blended_sites(generator, site)
    canvas = generator.start(len(mask))
    for each in generator.upto(site):
        canvas = generator.step(each, canvas, styles[each.name])
    canvas = canvas.rewrite(start, blend(canvas.features, source.features[site], mask))
    blended = Blended(canvas, site, {site: canvas.features})
    for each in between:
        # The RGB directly after the blend site belongs to the edited trunk, as in the released code.
        style = styles if len(between) == 1 else source.styles
        canvas = generator.step(each, canvas, style[each.name])
        if each.rgb:
            canvas = canvas.rewrite(each, blend(canvas.rgb, source.rgb[each.name], mask))
        blended = blended.written(each, canvas, keep=True)
    return blended


def tail(
    generator: Generator, source: Source, blended: Blended, upto: str | None = None, keep: bool = False
) -> Blended:
    """Walk on with the source's styles: through all sites, or those up to `upto` (a preview).

    `keep` files what each site writes.
    """
    rest = generator.sites[generator.sites.index(generator.site(blended.after)) + 1 :]
    for site in rest if upto is None else [s for s in generator.upto(upto) if s in rest]:
        blended = blended.written(site, generator.step(site, blended.canvas, source.styles[site.name]), keep)
    return blended


def blended_walk(
    generator: Generator,
    source: Source,
    styles: dict[str, Tensor],
    mask: Tensor,
    site: str,
    keep: bool = False,
) -> tuple[Blended, Tensor]:
    """The whole blended synthesis -> (what was written, image [B,3,R,R]).

    `keep` files the tail's features and RGB too, which an attention over all sites needs for a sequential edit.
    """
    blended = tail(generator, source, blended_trunk(generator, source, styles, mask, site), keep=keep)
    return blended, generator.image(blended.canvas)


def halo(generator: Generator, site: str) -> int:
    """Output pixels past an active mask cell that an edit blended at `site` can reach."""
    features = 0
    for each in (sites := blended_sites(generator, site))[1:]:
        features += 0 if each.rgb else each.spread
    return generator.halo(sites[-1].name, features)


def allowed_region(mask: Tensor, halo: int, resolution: int) -> Tensor:
    """Output pixels that an edit may touch: cells with M > 0, enlarged and grown by the halo. bool [B,1,R,R]."""
    cells = mask.shape[-1]
    if resolution % cells:
        raise ValueError(
            f"a {cells} px mask does not divide a {resolution} px image; resize the mask to a power of two"
        )
    pixels = resize_mask((mask > 0).float(), resolution)
    for kernel in ((2 * halo + 1, 1), (1, 2 * halo + 1)):
        pixels = F.max_pool2d(pixels, kernel, stride=1, padding=(kernel[0] // 2, kernel[1] // 2))
    return pixels > 0


@torch.no_grad()
def certify(source_image: Tensor, edited_image: Tensor, mask: Tensor, halo: int) -> tuple[Certificate, ...]:
    """Measure on the two images [B,3,R,R] what an edit with `mask` changed; one certificate per sample."""
    if source_image.shape != edited_image.shape or len(mask) != len(edited_image):
        shapes = [list(x.shape) for x in (source_image, edited_image, mask)]
        raise ValueError(f"source and edited images of one shape and one mask each needed, got {shapes}")
    difference = (edited_image - source_image).abs().amax(1, keepdim=True)  # [B,1,R,R]
    allowed = allowed_region(mask, halo, edited_image.shape[-1])
    return tuple(_certificate(*sample, halo) for sample in zip(mask, difference, allowed, strict=True))


def _certificate(mask: Tensor, difference: Tensor, allowed: Tensor, halo: int) -> Certificate:
    # NaN compares as unequal to 0 and stays NaN in max and mean, so that a broken image is never certified.
    outside = difference[~allowed]
    return Certificate(
        mask_area=(mask > 0).float().mean().item(),
        halo=halo,
        allowed_area=allowed.float().mean().item(),
        changed=(difference != 0).float().mean().item(),
        leak_max=outside.max().item() if outside.numel() else 0.0,
        leak_mean=outside.mean().item() if outside.numel() else 0.0,
    )


def _check(generator: Generator, source: Source, mask: Tensor, site: str) -> None:
    names = [s.name for s in blended_sites(generator, site)]
    lacking = [s for s in (names[0], names[-1]) if s not in source.features and s not in source.rgb]
    if lacking:
        raise ValueError(
            f"source lacks what '{lacking[0]}' wrote; walk it with Generator.source(w, upto='{names[-1]}')"
        )
    if mask.ndim != 4 or mask.shape[1] != 1 or len(mask) != len(source):
        raise ValueError(f"mask must be [{len(source)},1,r,r] for a source of {len(source)}, got {list(mask.shape)}")
