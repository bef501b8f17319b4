"""Find colours that the generator's faces lack or tie to other things: shifts that make a face look painted.

No face of the generator has purple hair, so that aiming finds no direction to it; lipstick it ties to women, and an
encoder alone leads to dots that please it. Painted pictures (data.alter) say what is wanted pixel by pixel: one shift
per colour and site is fitted to several faces at once, short enough to keep the texture of what it paints. Hair is
bleached first: a share of the source's own code is taken away, so that black hair and blond end in nearly the same
colour. Ours, not the paper's.

Legend: P dyes, K principal components, r blend resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.face_parsing import FaceParser
from where2edit.core import distributed
from where2edit.core.records import Edit, Source
from where2edit.core.registry import nearest
from where2edit.editing.mapper import PrincipalMapper
from where2edit.editing.region_shares import belonging
from where2edit.methods.base import Method
from where2edit.ops.colour import rgb_to_lab
from where2edit.text_image.base import TextImage
from where2edit.training.recolouring import HAIR, LIPS, cheeks, recolour, tint

FACES = 48  # with hair to see; with 12, colours miss by a quarter more on other faces
LOOKS = 10 * FACES  # faces among which they must be found
HAIRY = 0.08  # share of the cells that must show hair
STEPS, RATE, BLEACH_RATE = 240, 0.3, 0.03
LENGTH = 0.0001  # a third of it breaks the hair into dots
UNIT = 50.0  # Lab levels that count as an error of 1: in RGB purple is not far from grey
TRUNCATION = 0.7
FOCUS = 3.0  # weight of what is painted beside the rest of its parts, which stays


@dataclass(frozen=True)
class Dye:
    """Parts of a face and how they are painted: images [B,3,s,s] in [0,1] under a mask [B,1,s,s] -> painted images.

    `spot` says where inside the parts, from labels of face parsing [B,s,s]; without it they are painted all over.
    `bleach` says whether the source's own code may be taken away first: hair stays hair, skin would lose the face.
    `length` is the weight of the squared Mahalanobis length.
    """

    parts: tuple[str, ...]
    paint: Callable[[Tensor, Tensor], Tensor]
    spot: Callable[[Tensor], Tensor] | None = None
    bleach: bool = False
    length: float = LENGTH


@dataclass(frozen=True)
class Towards:
    """Paint that brings the mean towards a Lab colour, chroma and lightness each by its share of the way."""

    colour: tuple[float, float, float]
    chroma: float
    lightness: float

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        target, amount, lift = (images.new_tensor([x]) for x in (self.colour, self.chroma, self.lightness))
        return recolour(images, mask, target, amount, lift)


@dataclass(frozen=True)
class By:
    """Paint that changes Lab from where it is."""

    change: tuple[float, float, float]

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        return tint(images, mask, images.new_tensor([self.change]))


SKIN = ("skin", "nose", "ears", "neck")
DYES = {name: Dye(("hair",), Towards(colour, 1, 0.5), bleach=True) for name, colour in HAIR.items()}
DYES |= {name: Dye(("lips",), Towards(colour, 0.9, 0)) for name, colour in LIPS.items()}  # dark lips look sad
DYES |= {
    # Red and blue at once lie far out, and the red falls short. Duller and redder than HAIR's, and with a shorter code,
    # hair keeps its strands; green hair is lost that way.
    "Purple_Hair": Dye(("hair",), Towards((36, 38, -16), 1, 0.5), bleach=True, length=4 * LENGTH),
    "Wearing_Lipstick": DYES["Red_Lips"],
    "Rosy_Cheeks": Dye(("cheeks", "nose", "jaw"), By((-7, 41, 12)), cheeks),
    "Tanned_Skin": Dye(SKIN, By((-18, 5.5, 11.5))),
    "Pale_Skin": Dye(SKIN, By((14, -6, -12))),
}


def dye(
    method: Method, encoder: TextImage, colours: tuple[str, ...], strength: float, seed: int, use_preview_head: bool
) -> None:
    """Set `method.mapper.dyes`, `bleach` and `dye_words` to P of DYES, full at `strength`.

    Processes share the colours. `use_preview_head` looks at the preview head's small pictures.

    Raises ValueError for a mapper without dyes, for regions without names and for an unknown dye.
    """
    mapper = getattr(method, "mapper", None)
    if not isinstance(mapper, PrincipalMapper) or mapper.dyes is None:
        raise ValueError("method.mapper.dyes needs method.mapper.space=w_principal; set method.mapper.dyes=[]")
    for colour in colours:
        if colour not in DYES:
            raise ValueError(f"method.mapper.dyes has '{colour}'; {nearest(colour, DYES)}")
    kinds = list(dict.fromkeys(DYES[colour] for colour in colours))
    which = [kinds.index(DYES[colour]) for colour in colours]
    faces = list(_faces(method, seed, use_preview_head))
    mine = slice(distributed.rank(), None, distributed.world())
    found = [kept.new_zeros(len(kinds), *kept.shape[1:]) for kept in (mapper.dyes, mapper.bleach)]
    if kinds[mine]:
        for all_of_them, fitted in zip(found, _fit(method, mapper, faces, kinds[mine], use_preview_head), strict=True):
            all_of_them[mine] = fitted / strength
    with torch.no_grad():
        for kept, fitted in zip((mapper.dyes, mapper.bleach), found, strict=True):
            if distributed.world() > 1:
                dist.all_reduce(fitted)
            kept.copy_(fitted[which])
        mapper.dye_words.copy_(encoder.text([colour.replace("_", " ").lower() for colour in colours]))


def _faces(method: Method, seed: int, use_preview_head: bool) -> Iterator[tuple[Source, Tensor]]:
    """FACES generated faces with hair to see, and their regions [1,r,r]."""
    regions, site, left = method.frozen.regions, method.frozen.blend_site, FACES
    if regions is None or regions.shares is None:
        raise ValueError("method.mapper.dyes needs regions with names; run scripts/cluster.py")
    hair = belonging(regions.shares, ["hair"])
    for number in range(LOOKS):
        z = torch.randn(1, 512, generator=torch.Generator().manual_seed(seed * 1_000_003 + number))
        source = method.source(method.latents(z.to(hair.device), TRUNCATION), use_preview_head)
        labels = regions.label(source.features[site])
        if hair[labels].float().mean() > HAIRY:
            yield source, labels
            left -= 1
        if left == 0:
            return
    raise ValueError(f"only {FACES - left} of {LOOKS} faces show hair; set method.mapper.dyes=[] for this generator")


def _fit(
    method: Method,
    mapper: PrincipalMapper,
    faces: list[tuple[Source, Tensor]],
    kinds: list[Dye],
    use_preview_head: bool,
) -> tuple[Tensor, Tensor]:
    """Dyes [P,dyed sites,K] and bleach [P,dyed sites,1] in [0,1] that paint all faces.

    Where there is no bleach the shift is kept short, else the code that it leads to, which bleaching shortens.
    """
    dyes, bleach = (kept.new_zeros(len(kinds), *kept.shape[1:]) for kept in (mapper.dyes, mapper.bleach))
    most = dyes.new_tensor([each.bleach for each in kinds])[:, None, None]
    lengths = dyes.new_tensor([each.length for each in kinds])[:, None, None]
    rates = {RATE: dyes, BLEACH_RATE: bleach}
    optimizer = torch.optim.Adam([{"params": [found.requires_grad_()], "lr": rate} for rate, found in rates.items()])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    parser = FaceParser.load().to(dyes.device) if any(each.spot for each in kinds) else None
    wanted = [painted(method, source, labels, kinds, parser) for source, labels in faces]
    for step in tqdm(range(STEPS), desc="dye", disable=distributed.rank() > 0):
        (source, _), (masks, pictures, weights) = faces[step % FACES], wanted[step % FACES]
        many = source.repeat(len(kinds))
        c = mapper.coordinates(source.w[:, 0])
        shifts = dyes - bleach * c
        moved = {name: mapper.moved(many, name, shifts[:, number]) for number, name in enumerate(mapper.dyed)}
        edit = method.render(many, Edit(many.styles | moved, masks), use_preview_head)
        error = ((lab(edit.image) - pictures).abs() * weights).sum((1, 2, 3)) / (3 * UNIT * weights.sum((1, 2, 3)) + 1)
        loss = error.sum() + (lengths * (shifts + most * c).square()).sum(2).mean(1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            bleach.copy_(bleach.clamp_min(0).minimum(most))
    return dyes.detach(), bleach.detach()


def painted(
    method: Method, source: Source, labels: Tensor, dyes: list[Dye], parser: FaceParser | None
) -> tuple[Tensor, Tensor, Tensor]:
    """What P dyes make of a source: masks of their parts [P,1,r,r] in {0,1}, the painted picture in Lab [P,3,s,s], and
    how much each pixel of it counts [P,1,s,s]. Only dyes with a spot need a parser.
    """
    names, size = method.frozen.regions.shares, source.image.shape[-2:]
    masks = torch.stack([belonging(names, each.parts)[labels].float() for each in dyes])
    parts = F.interpolate(masks, size, mode="bilinear", align_corners=False)
    where = parts.clone()
    for number, each in enumerate(dyes):
        if each.spot:
            where[number] *= F.interpolate(each.spot(parser.labels(source.image)), size, mode="area")[0]
    before = (source.image + 1) / 2
    pictures = [lab(2 * each.paint(before, here[None]) - 1) for each, here in zip(dyes, where, strict=True)]
    return masks, torch.cat(pictures), parts + FOCUS * where


def lab(images: Tensor) -> Tensor:
    """Images in [-1,1] -> CIE Lab; black is lifted a little, where Lab is too steep to follow."""
    return rgb_to_lab(((images + 1) / 2).clamp(0.01, 1))
