"""Find hair colours that the generator's faces lack: shifts that make a face look like its recoloured picture.

No face of the generator has purple hair, so that aiming finds no direction to it, and an encoder alone leads to dots
that please it. Recoloured pictures (data.alter) say what is wanted pixel by pixel: one shift per colour and site is
fitted to several faces at once, short enough to keep the hair's texture. Ours, not the paper's.

Legend: P dyes, K principal components.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit import distributed
from where2edit.data.alter import HAIR, recolour, rgb_to_lab
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


def dye(
    method: Method, encoder: TextImage, colours: tuple[str, ...], strength: float, seed: int, preview: bool
) -> None:
    """Set `method.mapper.dyes` and `dye_words` to P colours of data.alter.HAIR, full at `strength`.

    Processes share the colours. `preview` looks at the preview head's small pictures.

    Raises ValueError for a mapper without dyes, for regions without names and for an unknown colour.
    """
    mapper = getattr(method, "mapper", None)
    if not isinstance(mapper, PrincipalMapper) or mapper.dyes is None:
        raise ValueError("method.mapper.dyes needs method.mapper.space=w_principal; set method.mapper.dyes=[]")
    for colour in colours:
        if colour not in HAIR:
            raise ValueError(f"method.mapper.dyes has '{colour}'; {nearest(colour, HAIR)}")
    faces = list(_faces(method, seed, preview))
    found = torch.zeros_like(mapper.dyes)
    mine = slice(distributed.rank(), None, distributed.world())
    if colours[mine]:
        targets = torch.tensor([HAIR[colour] for colour in colours[mine]]).to(found)
        found[mine] = _fit(method, mapper, faces, targets, preview) / strength
    if distributed.world() > 1:
        dist.all_reduce(found)
    with torch.no_grad():
        mapper.dyes.copy_(found)
        mapper.dye_words.copy_(encoder.text([colour.replace("_", " ").lower() for colour in colours]))


def _faces(method: Method, seed: int, preview: bool) -> Iterator[tuple[Source, Tensor]]:
    """FACES generated faces with their hair [1,1,r,r] in {0,1}, as the named regions show it."""
    regions, site, left = method.parts.regions, method.parts.blend_site, FACES
    if regions is None or regions.names is None:
        raise ValueError("method.mapper.dyes needs regions with names; run scripts/cluster.py")
    hair = belonging(regions.names, ["hair"])
    for number in range(LOOKS):
        z = torch.randn(1, 512, generator=torch.Generator().manual_seed(seed * 1_000_003 + number))
        source = method.source(method.latents(z.to(hair.device), TRUNCATION), preview)
        mask = hair[regions.label(source.features[site])][:, None].float()
        if mask.mean() > HAIRY:
            yield source, mask
            left -= 1
        if left == 0:
            return
    raise ValueError(f"only {FACES - left} of {LOOKS} faces show hair; set method.mapper.dyes=[] for this generator")


def _fit(
    method: Method, mapper: PrincipalMapper, faces: list[tuple[Source, Tensor]], targets: Tensor, preview: bool
) -> Tensor:
    """Shifts [P,dyed sites,K] that bring the hair of all faces to P Lab colours [P,3]."""
    shifts = torch.zeros(len(targets), *mapper.dyes.shape[1:], device=targets.device, requires_grad=True)
    optimizer = torch.optim.Adam([shifts], lr=RATE)
    wanted = [_recoloured(source, mask, targets) for source, mask in faces]
    for step in tqdm(range(STEPS), desc="dye", disable=distributed.rank() > 0):
        (source, mask), (pictures, seen) = faces[step % FACES], wanted[step % FACES]
        many = source.repeat(len(targets))
        moved = {name: mapper.moved(many, name, shifts[:, number]) for number, name in enumerate(mapper.dyed)}
        edit = method.render(many, Edit(many.styles | moved, mask.expand(len(targets), -1, -1, -1)), preview)
        error = ((_lab(edit.image) - pictures).abs() * seen).sum() / (3 * UNIT * seen.sum())
        loss = error + LENGTH * shifts.square().sum(2).mean(1).sum()
        optimizer.param_groups[0]["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * step / STEPS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return shifts.detach()


def _recoloured(source: Source, mask: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The source's picture with its hair in each colour, in Lab [P,3,s,s], and its hair [1,1,s,s]."""
    many = len(targets)
    seen = F.interpolate(mask, source.image.shape[-2:], mode="bilinear", align_corners=False)
    pictures = ((source.image + 1) / 2).clamp(0, 1).expand(many, -1, -1, -1)
    amount = torch.ones(many).to(targets)
    changed = recolour(pictures, seen.expand(many, -1, -1, -1), targets, amount, LIFT * amount)
    return _lab(changed * 2 - 1), seen


def _lab(images: Tensor) -> Tensor:
    """Images in [-1,1] -> CIE Lab; black is lifted a little, where Lab is too steep to follow."""
    return rgb_to_lab(((images + 1) / 2).clamp(0.01, 1))
