"""What the benchmark edits: a face of a profile's editor, and one of StyleGAN2 with random weights.

Legend: R output resolution, r blend resolution, D embedding width, m prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import torch
from torch import Tensor

from where2edit.commands.benchmarks.naive import naive_edit
from where2edit.commands.benchmarks.onnx_tail import exported_tail
from where2edit.commands.benchmarks.sections import left_out
from where2edit.commands.benchmarks.settings import Setting
from where2edit.core.records import Condition, Source
from where2edit.editing.blended_walk import unedited
from where2edit.editing.certificate import certify, halo
from where2edit.editing.masks import BlendingConfig
from where2edit.editing.regions import RegionConfig, Regions
from where2edit.editor.build import build_generator
from where2edit.editor.editor import Editor
from where2edit.editor.profile import Profile, load_profile
from where2edit.editor.session import Session
from where2edit.editor.steps import Step
from where2edit.generators.base import Generator
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, Method, MethodConfig

SEED, PROMPT, STRENGTH = 3, "a big smile", 0.1
REGIONS, TEXT = 20, 512  # of the paper
NAIVE, ONNX = "edit of the released pipeline, naive", "whole tail by ONNX Runtime"
PAPER = "configs/ffhq.yaml"
Calls = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class EditSubject:
    """A method with its source, which is set, and what is timed with them."""

    name: str
    method: Method
    source: Source
    cells: int  # of a mask's side
    edit: Callable[[Tensor], object]  # a whole edit, with certificate, under a mask [1,1,cells,cells]
    conditions: Callable[[int], Condition]  # m prompts of the source
    before: Calls = field(default_factory=dict)  # other things that are timed, by name
    after: Calls = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what the table cannot tell

    def tail(self) -> Callable[[], Tensor]:
        """The whole tail of the source's own canvas, by torch."""
        generator = self.method.frozen.generator
        blended = unedited(generator, self.source, self.method.frozen.blend_site)
        return lambda: generator.tail(blended.canvas, self.source.styles, blended.after)

    def batch(self, m: int, mask: Tensor) -> Callable[[], object]:
        """m edits of the source at once, under one mask; without certificates."""
        condition, method = self.conditions(m), self.method
        cells = method.frozen.generator.site(method.frozen.blend_site).resolution
        masks = torch.nn.functional.interpolate(mask, (cells, cells), mode="area").to(self.source.w.device)

        @torch.no_grad()
        def edits() -> object:
            proposed = method.propose(self.source, condition).with_(mask=masks.expand(m, -1, -1, -1))
            return method.render(self.source.repeat(m), proposed, keep_tail=False)

        return edits


def shipped_editor(device: torch.device, profile: Profile, setting: Setting | None = None) -> EditSubject:
    """The editor of a profile: whole edits with scores and certificate, by strengths that were not asked for before.

    setting: how the generator computes, the source too; None: as the profile says.
    """
    editor, numbers = Editor(profile, str(device)), count()
    if setting is not None:
        setting.place(editor.frozen.generator)
    source = editor.source(SEED)
    session = Session(editor, source)

    def edit(mask: Tensor) -> object:
        # A strength that was not asked for before, so that the session has nothing to take the edit from.
        return session.edit(Step(PROMPT, strength=STRENGTH + 1e-6 * next(numbers), mask=mask))

    def conditions(m: int) -> Condition:
        return editor.conditions.of([PROMPT] * m, STRENGTH, per_source=m)

    return EditSubject(
        f"profile {profile.name}, {editor.resolution} px",
        editor.method,
        source,
        editor.resolution,
        edit,
        conditions,
        before={"source": lambda: editor.source(SEED)},
        after={"edit, by its own mask and strength": lambda: Session(editor, source).edit(Step(PROMPT))},
    )


def with_onnx(subject: EditSubject) -> EditSubject:
    """The subject with ONNX Runtime's tail beside ours, or with the reason why there is none; on a GPU as it is."""
    if subject.source.w.is_cuda:
        return subject
    try:
        tail = exported_tail(subject.method.frozen.generator, subject.source, subject.method.frozen.blend_site)
    except ValueError as error:
        return replace(subject, notes=(*subject.notes, left_out("No row of ONNX Runtime", error)))
    return replace(subject, before={ONNX: tail, **subject.before})


def random_stylegan2(
    device: torch.device, resolution: int, overrides: tuple[str, ...] = (), setting: Setting | None = None
) -> EditSubject:
    """StyleGAN2 of the paper's profile with random weights: proposal, picture, certificate; no text-image encoder."""
    weights = ("generator.weights=null", f"generator.options.resolution={resolution}")
    profile = load_profile(PAPER, (*weights, *overrides))
    method = paper_method(profile, device)
    generator, site = method.frozen.generator, method.frozen.blend_site
    if setting is not None:
        setting.place(generator)
    with torch.no_grad():
        source = method.source(method.latents(generator.sample_z([SEED]), 0.7))
        drawn = torch.randn(1, TEXT, generator=torch.Generator().manual_seed(SEED)).to(device)
        proposed = method.propose(source, Condition(drawn, drawn, STRENGTH))
    reach, image = halo(generator, site), source.image
    assert image is not None  # the whole generator was walked

    def conditions(m: int) -> Condition:
        return Condition(drawn.expand(m, -1), drawn.expand(m, -1), STRENGTH, per_source=m)

    @torch.no_grad()
    def edit(mask: Tensor) -> object:
        proposal = method.propose(source, conditions(1)).with_(mask=mask.to(device))
        made = method.render(source, proposal, keep_tail=False)
        return certify(image, made.image, made.mask, reach)

    what = (generator, source, proposed.attention, proposed.regions, proposed.num_regions)
    naive = {NAIVE: lambda: naive_edit(*what)}
    name = f"StyleGAN2 at {resolution} px, random weights"
    return EditSubject(name, method, source, generator.site(site).resolution, edit, conditions, after=naive)


def paper_method(profile: Profile, device: torch.device) -> Method:
    """Where2edit on a profile's generator with default modules; where regions lie makes no difference to the time."""
    generator, site = build_generator(profile, device), profile.generator.blend_site
    frozen = Frozen(generator, TEXT, site, BlendingConfig(), random_regions(generator, site))
    return METHODS.get("where2edit")(frozen, MethodConfig()).to(device).eval()


def random_regions(generator: Generator, site: str, k: int = REGIONS) -> Regions:
    """Regions whose centres are random numbers."""
    channels = generator.site(site).channels
    centres = torch.randn(k, channels + 2 * (channels // 16), generator=torch.Generator().manual_seed(SEED))
    return Regions(centres, RegionConfig(k=k), generator.name, site, 0.0).to(generator.w_mean.device)
