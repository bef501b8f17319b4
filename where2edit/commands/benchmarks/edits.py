"""The time of whole edits against the edited area, with the shipped editor and with StyleGAN2.

Legend: R output resolution, D embedding width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from where2edit.commands.benchmarks.machine import matrix_product, matrix_rate
from where2edit.commands.benchmarks.naive import naive_edit
from where2edit.commands.benchmarks.timing import Times, interleaved
from where2edit.core.records import Condition, Source
from where2edit.editing.blended_walk import unedited
from where2edit.editing.certificate import certify, halo
from where2edit.editing.masks import BlendingConfig
from where2edit.editing.regions import RegionConfig, Regions
from where2edit.editor.build import placed
from where2edit.editor.editor import Editor
from where2edit.editor.session import Session
from where2edit.editor.steps import Step
from where2edit.generators.stylegan2 import create
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig

SEED, PROMPT, STRENGTH = 3, "a big smile", 0.1
BLEND_SITE, REGIONS, TEXT = "64.conv1", 20, 512  # of the paper
GRID = 64  # cells of a side in which the boxes are given
# Boxes of the face: first and last row, first and last column.
AREAS = {
    "edit, lips": (42, 48, 25, 39),
    "edit, eyes": (26, 33, 18, 46),
    "edit, 5 % of the picture": (24, 38, 24, 39),
    "edit, hair": (0, 34, 8, 56),
    "edit, everything": (0, 64, 0, 64),
}
TAIL, NAIVE = "whole tail", "edit of the released pipeline, naive"
Calls = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class EditTimes:
    """What was measured in one run: times by name, the machine's rate, and the work of the whole tail."""

    times: dict[str, Times]
    gflops: float  # of a matrix product, a second
    tail_gflop: float  # of the convolutions of the whole tail

    def rows(self) -> list[tuple[str, ...]]:
        """Lines of a table: name, edited share, milliseconds, ratio to the whole tail, ratio to the naive edit."""
        ideal, naive = 1e3 * self.tail_gflop / self.gflops, self.times.get(NAIVE)
        lines: list[tuple[str, ...]] = [(f"{TAIL} at {self.gflops:,.0f} GFLOP/s", "", f"{ideal:,.0f}", "", "")]
        for name, taken in self.times.items():
            faster = f"{naive.median / taken.median:.1f}" if naive else ""
            of_tail = f"{taken.median / self.times[TAIL].median:.2f}"
            lines.append((name, share(AREAS[name]) if name in AREAS else "", str(taken), of_tail, faster))
        return lines


def shipped_editor_times(device: torch.device, rounds: int) -> EditTimes:
    """The default profile: whole edits with scores and certificate of a source that is set, by unseen prompts."""
    editor, numbers = Editor.load("configs/mobile.yaml", device=str(device)), count()
    source = editor.source(SEED)
    session = Session(editor, source)

    def edit(mask: Tensor) -> Callable[[], object]:
        # A strength that was not asked for before, so that the session has nothing to take the edit from.
        return lambda: session.edit(Step(PROMPT, strength=STRENGTH + 1e-6 * next(numbers), mask=mask))

    calls: Calls = {"source": lambda: editor.source(SEED)}
    calls |= {name: edit(box_mask(box, editor.resolution)) for name, box in AREAS.items()}
    calls["edit, by its own mask and strength"] = lambda: Session(editor, source).edit(Step(PROMPT))
    return measured(editor.method, source, calls, rounds)


def stylegan2_times(device: torch.device, rounds: int, resolution: int) -> EditTimes:
    """The paper's profile with random weights: proposal, picture and certificate, without a text-image encoder."""
    method = paper_method(device, resolution)
    with torch.no_grad():
        source = method.source(method.latents(method.frozen.generator.sample_z([SEED]), 0.7))
    h = torch.randn(1, TEXT, generator=torch.Generator().manual_seed(SEED)).to(device)
    condition, reach = Condition(h, h, STRENGTH), halo(method.frozen.generator, BLEND_SITE)
    assert source.image is not None  # the whole generator was walked
    image = source.image

    @torch.no_grad()
    def edit(mask: Tensor) -> object:
        made = method.render(source, method.propose(source, condition).with_(mask=mask), keep_tail=False)
        return certify(image, made.image, made.mask, reach)

    masks = {name: box_mask(box, GRID).to(device) for name, box in AREAS.items()}
    calls: Calls = {name: lambda mask=mask: edit(mask) for name, mask in masks.items()}
    with torch.no_grad():
        proposed = method.propose(source, condition)
    what = (method.frozen.generator, source, proposed.attention, proposed.regions, proposed.num_regions)
    return measured(method, source, calls | {NAIVE: lambda: naive_edit(*what)}, rounds)


def paper_method(device: torch.device, resolution: int) -> Method:
    """Where2edit on StyleGAN2 with the released architecture; where regions lie makes no difference to the time."""
    generator = placed(create(resolution), device)
    channels = generator.site(BLEND_SITE).channels
    centres = torch.randn(REGIONS, channels + 2 * (channels // 16), generator=torch.Generator().manual_seed(SEED))
    regions = Regions(centres, RegionConfig(k=REGIONS), generator.name, BLEND_SITE, 0.0)
    frozen = Frozen(generator, TEXT, BLEND_SITE, BlendingConfig(), regions.to(device))
    return METHODS.get("where2edit")(frozen, MethodConfig()).to(device).eval()


def measured(method: Method, source: Source, calls: Calls, rounds: int) -> EditTimes:
    """The times of the calls, of the whole tail and of the machine, in rounds of all."""
    generator, device = method.frozen.generator, source.w.device
    blended = unedited(generator, source, method.frozen.blend_site)

    @torch.no_grad()
    def tail() -> Tensor:
        return generator.tail(blended.canvas, source.styles, blended.after)

    with FlopCounterMode(display=False) as counter:
        tail()
    product = {"matrix product": matrix_product(device)}
    times = interleaved({TAIL: tail} | calls | product, device, rounds, generator.name)
    rate = matrix_rate(times.pop("matrix product").median)
    return EditTimes(times, rate, counter.get_total_flops() / 1e9)


def box_mask(box: tuple[int, int, int, int], resolution: int) -> Tensor:
    """A box of the face as a mask [1,1,R,R]."""
    top, bottom, left, right = (end * resolution // GRID for end in box)
    mask = torch.zeros(1, 1, resolution, resolution)
    mask[..., top:bottom, left:right] = 1
    return mask


def share(box: tuple[int, int, int, int]) -> str:
    """Which share of the picture a box is."""
    top, bottom, left, right = box
    return f"{(bottom - top) * (right - left) / GRID**2:.0%}"
