"""Find colours that the generator's faces lack or tie to other things: shifts that make a face look painted.

No face of the generator has purple hair, so that aiming finds no direction to it; lipstick it ties to women, and an
encoder alone leads to dots that please it. Painted pictures (data.alter) say what is wanted pixel by pixel: one shift
per colour and site is fitted to several faces at once, short enough to keep the texture of what it paints. Ours, not
the paper's.

Legend: P dyes, K principal components, r blend resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit import distributed
from where2edit.data.alter import HAIR, LIPS, lab_to_rgb, rgb_to_lab
from where2edit.mapper import PrincipalMapper
from where2edit.methods.base import Method
from where2edit.records import Edit, Source
from where2edit.region_names import belonging
from where2edit.registry import nearest
from where2edit.text_image.base import TextImage

FACES = 12  # with hair to see
LOOKS = 10 * FACES  # faces among which they must be found
HAIRY = 0.08  # share of the cells that must show hair
STEPS, RATE = 240, 0.3
LENGTH = 0.0001  # weight of a shift's mean squared Mahalanobis length; a third of it breaks the hair into dots
UNIT = 50.0  # Lab levels that count as an error of 1: in RGB purple is not far from grey
TRUNCATION = 0.7
LIFT = 0.5  # how far the lightness goes towards the colour's own; the chroma goes all the way


@dataclass(frozen=True)
class Dye:
    """A Lab colour that the parts of a face get, or the change of Lab that they get from where they are."""

    parts: tuple[str, ...]
    colour: tuple[float, float, float]
    change: bool = False

    def paint(self, lab: Tensor, seen: Tensor) -> Tensor:
        """Lab [1,3,s,s] and where the parts are [1,1,s,s] -> the painted Lab, texture and shading kept."""
        shift = lab.new_tensor([self.colour])
        if not self.change:
            mean = (lab * seen).sum((2, 3)) / seen.sum((2, 3)).clamp_min(1e-3)
            shift = (shift - mean) * lab.new_tensor([LIFT, 1, 1])
        return rgb_to_lab(lab_to_rgb(lab + shift[:, :, None, None] * seen))  # as far as a screen can show it


SKIN = ("skin", "nose", "ears", "neck")
DYES = {name: Dye(("hair",), colour) for name, colour in HAIR.items()}
DYES |= {name: Dye(("lips",), colour) for name, colour in LIPS.items()}
DYES |= {
    "Wearing_Lipstick": Dye(("lips",), LIPS["Red_Lips"]),
    "Tanned_Skin": Dye(SKIN, (-18, 5.5, 11.5), change=True),
    "Pale_Skin": Dye(SKIN, (14, -6, -12), change=True),
}


def dye(
    method: Method, encoder: TextImage, colours: tuple[str, ...], strength: float, seed: int, preview: bool
) -> None:
    """Set `method.mapper.dyes` and `dye_words` to P of DYES, full at `strength`.

    Processes share the colours. `preview` looks at the preview head's small pictures.

    Raises ValueError for a mapper without dyes, for regions without names and for an unknown dye.
    """
    mapper = getattr(method, "mapper", None)
    if not isinstance(mapper, PrincipalMapper) or mapper.dyes is None:
        raise ValueError("method.mapper.dyes needs method.mapper.space=w_principal; set method.mapper.dyes=[]")
    for colour in colours:
        if colour not in DYES:
            raise ValueError(f"method.mapper.dyes has '{colour}'; {nearest(colour, DYES)}")
    faces = list(_faces(method, seed, preview))
    found = torch.zeros_like(mapper.dyes)
    mine = slice(distributed.rank(), None, distributed.world())
    if colours[mine]:
        found[mine] = _fit(method, mapper, faces, [DYES[colour] for colour in colours[mine]], preview) / strength
    if distributed.world() > 1:
        dist.all_reduce(found)
    with torch.no_grad():
        mapper.dyes.copy_(found)
        mapper.dye_words.copy_(encoder.text([colour.replace("_", " ").lower() for colour in colours]))


def _faces(method: Method, seed: int, preview: bool) -> Iterator[tuple[Source, Tensor]]:
    """FACES generated faces with hair to see, and their regions [1,r,r]."""
    regions, site, left = method.parts.regions, method.parts.blend_site, FACES
    if regions is None or regions.names is None:
        raise ValueError("method.mapper.dyes needs regions with names; run scripts/cluster.py")
    hair = belonging(regions.names, ["hair"])
    for number in range(LOOKS):
        z = torch.randn(1, 512, generator=torch.Generator().manual_seed(seed * 1_000_003 + number))
        source = method.source(method.latents(z.to(hair.device), TRUNCATION), preview)
        labels = regions.label(source.features[site])
        if hair[labels].float().mean() > HAIRY:
            yield source, labels
            left -= 1
        if left == 0:
            return
    raise ValueError(f"only {FACES - left} of {LOOKS} faces show hair; set method.mapper.dyes=[] for this generator")


def _fit(
    method: Method, mapper: PrincipalMapper, faces: list[tuple[Source, Tensor]], dyes: list[Dye], preview: bool
) -> Tensor:
    """Shifts [P,dyed sites,K] that paint all faces with P dyes."""
    shifts = torch.zeros(len(dyes), *mapper.dyes.shape[1:], device=mapper.dyes.device, requires_grad=True)
    optimizer = torch.optim.Adam([shifts], lr=RATE)
    wanted = [painted(method, source, labels, dyes) for source, labels in faces]
    for step in tqdm(range(STEPS), desc="dye", disable=distributed.rank() > 0):
        (source, _), (masks, pictures, seen) = faces[step % FACES], wanted[step % FACES]
        many = source.repeat(len(dyes))
        moved = {name: mapper.moved(many, name, shifts[:, number]) for number, name in enumerate(mapper.dyed)}
        edit = method.render(many, Edit(many.styles | moved, masks), preview)
        error = ((lab(edit.image) - pictures).abs() * seen).sum((1, 2, 3)) / (3 * UNIT * seen.sum((1, 2, 3)) + 1)
        loss = error.sum() + LENGTH * shifts.square().sum(2).mean(1).sum()
        optimizer.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * step / STEPS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return shifts.detach()


def painted(method: Method, source: Source, labels: Tensor, dyes: list[Dye]) -> tuple[Tensor, Tensor, Tensor]:
    """For P dyes: masks of their parts [P,1,r,r] in {0,1}, the painted source in Lab [P,3,s,s], and where [P,1,s,s]."""
    names = method.parts.regions.names
    masks = torch.stack([belonging(names, each.parts)[labels].float() for each in dyes])
    seen = F.interpolate(masks, source.image.shape[-2:], mode="bilinear", align_corners=False)
    before = lab(source.image)
    return masks, torch.cat([each.paint(before, where[None]) for each, where in zip(dyes, seen, strict=True)]), seen


def lab(images: Tensor) -> Tensor:
    """Images in [-1,1] -> CIE Lab; black is lifted a little, where Lab is too steep to follow."""
    return rgb_to_lab(((images + 1) / 2).clamp(0.01, 1))
