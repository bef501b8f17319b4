"""Colours that the generator lacks: one latent shift per colour, fitted to recoloured pictures before training.

No face of the generator has purple hair, so that the regression of semantic directions finds no direction to it;
lipstick appears on women only; and training on the encoder's score alone ends in coloured dots. Recoloured pictures
(training/recolouring.py) give a target for every pixel. For a colour p, a site i after the blend site and a source with
principal coordinates c,

    shift = colour_shift_pi - shrinkage_pi c

is fitted to many faces at once, with a penalty on its length. Shrinkage takes away a share of the source's own
coordinates. The pictures are those of the preview head, which works on each cell alone, so that a step needs a few
cells of a face and not the whole of it. Ours, not the paper's.

Legend: P colours, k regions, S sites after the blend site, K principal components, C channels of the preview site, r
its resolution, N cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from where2edit.core import distributed
from where2edit.core.distributed import step_seed, sum_over_processes
from where2edit.core.records import Source
from where2edit.core.registry import nearest
from where2edit.editing.face_parts import part_ids
from where2edit.editing.mappers.colour_shifts import ColourShifts
from where2edit.editing.mappers.w_principal import PrincipalMapper
from where2edit.editing.preview_head import Preview
from where2edit.editing.region_shares import belonging
from where2edit.methods.base import Method
from where2edit.text_image.base import TextImage
from where2edit.training.colour_targets import COLOURS, ColourTarget, lab

FACES = 48  # faces with visible hair that are fitted to; with 12, the error on other faces is a quarter larger
TRIES = 10 * FACES  # faces that are generated at most to find them
HAIR_SHARE = 0.08  # hair is visible where more than this share of the cells shows it
TRUNCATION = 0.7
STEPS, SHIFT_RATE, SHRINKAGE_RATE = 300, 0.15, 0.015  # of Adam
CELLS = 256  # N, drawn in each step from those that a colour changes
LAB_UNIT = 50.0  # Lab levels that count as an error of 1; in Lab, since purple is close to grey in RGB


@dataclass(frozen=True)
class Example:
    """One face and what P colours make of it: features [C,r*r] at the preview site, recoloured pictures in Lab
    [P,3,r*r], and which cells each colour changes, bool [P,r*r]."""

    source: Source
    features: Tensor
    pictures: Tensor
    where: Tensor


def fit_colours(method: Method, encoder: TextImage, colours: tuple[str, ...], strength: float, seed: int) -> None:
    """Fit `method.mapper.colours` to `colours`, names of COLOURS.

    strength: of the edit that gets the fitted shift whole. seed: of the faces. Processes share the colours. Raises
    ValueError for a mapper without colours, a profile without a preview head, regions without shares of the parts of a
    face, an unknown colour, and where too few faces show hair.
    """
    kept = _colour_shifts(method)
    for colour in colours:
        if colour not in COLOURS:
            raise ValueError(f"method.mapper.options.colours has '{colour}'; {nearest(colour, COLOURS)}")
    preview = _preview(method)
    targets = list(dict.fromkeys(COLOURS[colour] for colour in colours))  # two names may stand for one target
    faces = list(suitable_faces(method, seed))
    # Each process fits its share of the targets; the sum puts them together.
    mine = slice(distributed.rank(), None, distributed.world())
    parameters = (kept.colour_shifts, kept.shrinkage)
    found = [parameter.new_zeros(len(targets), *parameter.shape[1:]) for parameter in parameters]
    if targets[mine]:
        for whole, fitted in zip(found, _fit(method, preview, faces, targets[mine]), strict=True):
            whole[mine] = fitted / strength
    target_of = [targets.index(COLOURS[colour]) for colour in colours]
    with torch.no_grad():
        for parameter, whole in zip(parameters, found, strict=True):
            parameter.copy_(sum_over_processes(whole)[target_of])
        kept.colour_embeddings.copy_(encoder.text([colour.replace("_", " ").lower() for colour in colours]))
        kept.colour_fades.copy_(kept.colour_fades.new_tensor([COLOURS[colour].fades for colour in colours]))
        for row, colour in zip(kept.colour_parts, colours, strict=True):
            row.zero_()
            row[[i for part in COLOURS[colour].parts for i in part_ids(part)]] = 1.0


def _preview(method: Method) -> Preview:
    """The preview head. Raises ValueError where there is none, and where it does not stand at the blend site."""
    preview, site = method.frozen.preview(True), method.frozen.blend_site
    assert preview is not None  # it was asked for
    if preview.site != site:
        raise ValueError(
            f"colours need a preview head at the blend site: preview_head.site is '{preview.site}' and "
            f"generator.blend_site '{site}'; give one site for both, or method.mapper.options.colours=[]"
        )
    return preview


def _colour_shifts(method: Method) -> ColourShifts:
    mapper = getattr(method, "mapper", None)
    if not isinstance(mapper, PrincipalMapper) or mapper.colours is None:
        raise ValueError("colours need method.mapper.name=w_principal and method.mapper.options.colours")
    return mapper.colours


def suitable_faces(method: Method, seed: int) -> Iterator[tuple[Source, Tensor]]:
    """FACES generated faces with visible hair, each with its region labels [1,r,r].

    Raises ValueError when TRIES faces do not hold that many, and for regions without shares.
    """
    frozen, left = method.frozen, FACES
    regions, generator = frozen.regions, frozen.generator
    if regions is None or regions.shares is None:
        raise ValueError("colours need regions whose parts of a face are known; run scripts/cluster.py")
    hair = belonging(regions.shares, ["hair"])  # bool [k]
    for number in range(TRIES):
        z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(step_seed(seed, number)))
        source = method.source(method.latents(z.to(hair.device), TRUNCATION), use_preview_head=True)
        labels = regions.label(source.features[frozen.blend_site])
        if hair[labels].float().mean() > HAIR_SHARE:
            yield source, labels
            left -= 1
        if left == 0:
            return
    found = f"only {FACES - left} of {TRIES} faces show hair"
    raise ValueError(f"{found}; set method.mapper.options.colours=[] for this generator")


def _example(method: Method, preview: Preview, source: Source, labels: Tensor, targets: list[ColourTarget]) -> Example:
    """What is fitted to one source with region labels [1,r,r]."""
    shares, picture = method.frozen.regions.shares, (source.image + 1) / 2
    where = torch.stack([belonging(shares, each.parts)[labels] for each in targets])  # [P,1,r,r]
    masks = where.to(picture)
    pictures = [lab(2 * each.recolouring(picture, here[None]) - 1) for each, here in zip(targets, masks, strict=True)]
    features = source.features[preview.site][0].flatten(1)
    kept = source.with_(features={}, image=None)
    return Example(kept, features, torch.cat(pictures).flatten(2), where.flatten(1))


def _fit(
    method: Method, preview: Preview, faces: list[tuple[Source, Tensor]], targets: list[ColourTarget]
) -> tuple[Tensor, Tensor]:
    """Colour shifts [P,S,K] and shrinkages [P,S,1] in [0,1] of P targets, fitted to all faces by Adam."""
    colours = method.mapper.colours
    shifts, shrinkage = (p.new_zeros(len(targets), *p.shape[1:]) for p in (colours.colour_shifts, colours.shrinkage))
    largest = shifts.new_tensor([each.shrinks for each in targets])[:, None, None]  # of the shrinkage: 0 or 1
    rates = {SHIFT_RATE: shifts, SHRINKAGE_RATE: shrinkage}
    optimizer = torch.optim.Adam([{"params": [found.requires_grad_()], "lr": rate} for rate, found in rates.items()])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    examples = [_example(method, preview, *face, targets) for face in faces]
    draw = torch.Generator().manual_seed(0)
    for step in tqdm(range(STEPS), desc="colours", disable=distributed.rank() > 0):
        loss = _loss(method, preview, examples[step % FACES], targets, shifts, shrinkage, draw)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            shrinkage.copy_(shrinkage.clamp_min(0).minimum(largest))
    return shifts.detach(), shrinkage.detach()


def _loss(
    method: Method,
    preview: Preview,
    example: Example,
    targets: list[ColourTarget],
    shifts: Tensor,
    shrinkage: Tensor,
    draw: torch.Generator,
) -> Tensor:
    """Sum over P targets of the mean of |edit - target| in Lab over N cells, and of the penalty on lengths.

    The penalised vector is the shift itself where the target does not shrink, and else shift + c, the coordinates that
    the shift leads to, which shrinkage shortens.
    """
    mapper, source = method.mapper, example.source
    c = mapper.coordinates(source.w[:, 0])  # [1,K]
    moves = shifts - shrinkage * c  # [P,S,K]
    styles = {name: mapper.shifted(source, name, moves[:, number]) for number, name in enumerate(mapper.colours.sites)}
    # N cells of each colour; a face that does not show the part at all gives any cells, and counts 0.
    shown = example.where.any(1)
    chances = torch.where(shown[:, None], example.where, True).float().cpu()
    cells = torch.multinomial(chances, CELLS, replacement=True, generator=draw).to(shifts.device)  # [P,N]
    x = example.features[:, cells].transpose(0, 1)[:, :, None]  # [P,C,1,N]
    wanted = example.pictures.gather(2, cells[:, None].expand(-1, 3, -1))[:, :, None]
    error = (lab(preview.head(x, styles)) - wanted).abs().mean((1, 2, 3)) / LAB_UNIT  # [P]
    # The squared length, summed over components and averaged over sites.
    shrinks = shifts.new_tensor([each.shrinks for each in targets])[:, None, None]
    penalties = shifts.new_tensor([each.length_weight for each in targets])[:, None, None]
    return (error * shown).sum() + (penalties * (moves + shrinks * c).square()).sum(2).mean(1).sum()
