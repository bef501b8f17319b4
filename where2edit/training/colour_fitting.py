"""Colours that the generator lacks: one latent shift per colour, fitted to recoloured pictures before training.

No face of the generator has purple hair, so that the regression of semantic directions finds no direction to it;
lipstick appears on women only; and training on the encoder's score alone ends in coloured dots. Recoloured pictures
(training/recolouring.py) give a target for every pixel. For a colour p, a site i and a source with principal
coordinates c,

    shift = colour_shift_pi - shrinkage_pi c

is fitted to many faces at once, with a penalty on its length that keeps the texture of what is recoloured. Shrinkage
takes away a share of the source's own coordinates, so that black and blond hair end in nearly the same colour. Ours,
not the paper's.

Legend: P colours, k regions, S recoloured sites, K principal components, r blend resolution, s pixels of a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.face_parsing import FaceParser
from where2edit.core import distributed
from where2edit.core.distributed import step_seed, sum_over_processes
from where2edit.core.records import Edit, Source
from where2edit.core.registry import nearest
from where2edit.editing.mappers.colour_shifts import ColourShifts
from where2edit.editing.mappers.w_principal import PrincipalMapper
from where2edit.editing.region_shares import belonging
from where2edit.methods.base import Method
from where2edit.text_image.base import TextImage
from where2edit.training.colour_targets import COLOURS, ColourTarget, lab, recoloured

FACES = 48  # faces with visible hair that are fitted to; with 12, the error on other faces is a quarter larger
TRIES = 10 * FACES  # faces that are generated at most to find them
HAIR_SHARE = 0.08  # hair is visible where more than this share of the cells shows it
TRUNCATION = 0.7
STEPS, SHIFT_RATE, SHRINKAGE_RATE = 240, 0.3, 0.03  # of Adam
LAB_UNIT = 50.0  # Lab levels that count as an error of 1; in Lab, since purple is close to grey in RGB


@dataclass(frozen=True)
class Example:
    """One face and what P colours make of it: masks [P,1,r,r], pictures in Lab [P,3,s,s], pixel weights [P,1,s,s]."""

    source: Source
    masks: Tensor
    pictures: Tensor
    weights: Tensor


def fit_colours(
    method: Method,
    encoder: TextImage,
    colours: tuple[str, ...],
    strength: float,
    seed: int,
    use_preview_head: bool = False,
) -> None:
    """Fit `method.mapper.colours` to `colours`, names of COLOURS.

    strength: of the edit that gets the fitted shift whole. seed: of the faces. Processes share the colours.
    `use_preview_head` compares the preview head's small pictures. Raises ValueError for a mapper without colours, for
    regions without shares of the parts of a face, for an unknown colour, and where too few faces show hair.
    """
    kept = _colour_shifts(method)
    for colour in colours:
        if colour not in COLOURS:
            raise ValueError(f"method.mapper.options.colours has '{colour}'; {nearest(colour, COLOURS)}")
    targets = list(dict.fromkeys(COLOURS[colour] for colour in colours))  # two names may stand for one target
    faces = list(suitable_faces(method, seed, use_preview_head))
    # Each process fits its share of the targets; the sum puts them together.
    mine = slice(distributed.rank(), None, distributed.world())
    parameters = (kept.colour_shifts, kept.shrinkage)
    found = [parameter.new_zeros(len(targets), *parameter.shape[1:]) for parameter in parameters]
    if targets[mine]:
        for whole, fitted in zip(found, _fit(method, faces, targets[mine], use_preview_head), strict=True):
            whole[mine] = fitted / strength
    target_of = [targets.index(COLOURS[colour]) for colour in colours]
    with torch.no_grad():
        for parameter, whole in zip(parameters, found, strict=True):
            parameter.copy_(sum_over_processes(whole)[target_of])
        kept.colour_embeddings.copy_(encoder.text([colour.replace("_", " ").lower() for colour in colours]))


def _colour_shifts(method: Method) -> ColourShifts:
    mapper = getattr(method, "mapper", None)
    if not isinstance(mapper, PrincipalMapper) or mapper.colours is None:
        raise ValueError("colours need method.mapper.name=w_principal and method.mapper.options.colours")
    return mapper.colours


def suitable_faces(method: Method, seed: int, use_preview_head: bool) -> Iterator[tuple[Source, Tensor]]:
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
        source = method.source(method.latents(z.to(hair.device), TRUNCATION), use_preview_head)
        labels = regions.label(source.features[frozen.blend_site])
        if hair[labels].float().mean() > HAIR_SHARE:
            yield source, labels
            left -= 1
        if left == 0:
            return
    found = f"only {FACES - left} of {TRIES} faces show hair"
    raise ValueError(f"{found}; set method.mapper.options.colours=[] for this generator")


def _fit(
    method: Method, faces: list[tuple[Source, Tensor]], targets: list[ColourTarget], use_preview_head: bool
) -> tuple[Tensor, Tensor]:
    """Colour shifts [P,S,K] and shrinkages [P,S,1] in [0,1] of P targets, fitted to all faces by Adam."""
    colours = method.mapper.colours
    shifts, shrinkage = (p.new_zeros(len(targets), *p.shape[1:]) for p in (colours.colour_shifts, colours.shrinkage))
    largest = shifts.new_tensor([each.shrinks for each in targets])[:, None, None]  # of the shrinkage: 0 or 1
    rates = {SHIFT_RATE: shifts, SHRINKAGE_RATE: shrinkage}
    optimizer = torch.optim.Adam([{"params": [found.requires_grad_()], "lr": rate} for rate, found in rates.items()])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    parser = FaceParser.load().to(shifts.device) if any(each.within for each in targets) else None
    examples = [Example(source, *recoloured(method, source, labels, targets, parser)) for source, labels in faces]
    for step in tqdm(range(STEPS), desc="colours", disable=distributed.rank() > 0):
        example = examples[step % FACES]
        loss = _loss(method, example, targets, shifts, shrinkage, use_preview_head)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            shrinkage.copy_(shrinkage.clamp_min(0).minimum(largest))
    return shifts.detach(), shrinkage.detach()


def _loss(
    method: Method,
    example: Example,
    targets: list[ColourTarget],
    shifts: Tensor,
    shrinkage: Tensor,
    use_preview_head: bool,
) -> Tensor:
    """Sum over P targets of the weighted mean of |edit - target| in Lab, and of the penalty on lengths.

    The penalised vector is the shift itself where the target does not shrink, and else shift + c, the coordinates that
    the shift leads to, which shrinkage shortens.
    """
    mapper, many = method.mapper, example.source.repeat(len(targets))
    # Edits of one source, one for each target, under the targets' own masks.
    c = mapper.coordinates(example.source.w[:, 0])  # [1,K]
    moves = shifts - shrinkage * c  # [P,S,K]
    sites = mapper.colours.sites
    styles = {name: mapper.shifted(many, name, moves[:, number]) for number, name in enumerate(sites)}
    edit = method.render(many, Edit(styles=many.styles | styles, mask=example.masks), use_preview_head)
    # The weighted mean error of each target; the 1 keeps it finite where the face does not show the part.
    error = ((lab(edit.image) - example.pictures).abs() * example.weights).sum((1, 2, 3))
    error = error / (3 * LAB_UNIT * example.weights.sum((1, 2, 3)) + 1)
    # The squared length, summed over components and averaged over sites.
    shrinks = shifts.new_tensor([each.shrinks for each in targets])[:, None, None]
    penalties = shifts.new_tensor([each.length_weight for each in targets])[:, None, None]
    return error.sum() + (penalties * (moves + shrinks * c).square()).sum(2).mean(1).sum()
