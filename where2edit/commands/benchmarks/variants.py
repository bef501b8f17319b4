"""Ways in which an edit can be computed, in one table: changes of the config, and torch's own switches.

Each is measured in the same rounds as the others: one edit, a batch of edits, and what 100 masks leak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from where2edit.commands.benchmarks.edits import AREAS, box_mask
from where2edit.commands.benchmarks.leaks import MASKS, Leak, random_mask
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.sections import left_out, table
from where2edit.commands.benchmarks.settings import Setting
from where2edit.commands.benchmarks.subjects import EditSubject
from where2edit.commands.benchmarks.timing import Times
from where2edit.commands.benchmarks.work import Work, work_of
from where2edit.editing.certificate import allowed_region, halo


@dataclass(frozen=True)
class Variant:
    """Changes of a config; `setting`: what is set beside it, None leaves everything as the config builds it."""

    overrides: tuple[str, ...] = ()
    setting: Setting | None = None


CONFIGURED = "as configured"
BFLOAT16, GRAPHS = "generator.dtype=bfloat16", "generator.cuda_graphs=true"
FAST = Setting(tf32=True, channels_last=True)
# The first of those that can be built is what the others are compared with.
CUDA_VARIANTS = {
    "strict local, fp32, as in 0.1.0": Variant(setting=Setting(local=True)),
    CONFIGURED: Variant(),
    "TF32, channels last": Variant(setting=FAST),
    "bfloat16": Variant((BFLOAT16,)),
    "bfloat16, TF32, channels last": Variant((BFLOAT16,), FAST),
    "CUDA graphs": Variant((GRAPHS,)),
    "CUDA graphs, TF32, channels last": Variant((GRAPHS,), FAST),
    "CUDA graphs, bfloat16": Variant((GRAPHS, BFLOAT16)),
    "CUDA graphs, bfloat16, TF32, channels last": Variant((GRAPHS, BFLOAT16), FAST),
}
CPU_VARIANTS = {CONFIGURED: Variant(), "bfloat16": Variant((BFLOAT16,))}
BATCH = {"cuda": 32, "cpu": 4}
LEAK_MASKS = {"cuda": 5 * MASKS, "cpu": MASKS // 2}
COLUMNS = "variant | one edit, ms | times faster | batch of {batch}, ms | edits a second | times faster"
COLUMNS += " | memory of the batch, GiB | leak outside mask + halo | change inside"
# Changes of the config and a setting -> the subject that computes so.
Build = Callable[[tuple[str, ...], Setting | None], EditSubject]


@dataclass(frozen=True)
class BuiltVariant:
    """A variant with the subject that computes so."""

    subject: EditSubject
    setting: Setting | None

    def call(self, of: Callable[[], object]) -> Callable[[], object]:
        """The call of a thing of the subject while the variant's switches stand."""
        setting = self.setting
        if setting is None:
            return of

        def switched() -> object:
            with setting.switched():
                return of()

        return switched


def edit_variants(device: torch.device) -> dict[str, Variant]:
    """The variants that are measured on a device."""
    return CUDA_VARIANTS if device.type == "cuda" else CPU_VARIANTS


def built_variants(variants: Mapping[str, Variant], build: Build) -> tuple[dict[str, BuiltVariant], list[str]]:
    """The variants that this machine and this version can compute, and a sentence on each of the others."""
    built, missing = {}, []
    for name, variant in variants.items():
        try:
            # The source must be computed as its edits are, or every pixel would differ by rounding.
            with variant.setting.switched() if variant.setting else nullcontext():
                subject = build(variant.overrides, variant.setting)
                subject.edit(box_mask(AREAS["edit, hair"], subject.cells))  # what cannot compute so fails here
        except (ValueError, RuntimeError) as error:
            missing.append(left_out(f"No row '{name}'", error))
            continue
        built[name] = BuiltVariant(subject, variant.setting)
    return built, missing


def variants_text(run: BenchmarkRun, title: str, build: Build) -> str:
    """Heading, table and notes of all variants of a subject."""
    built, notes = built_variants(edit_variants(run.device), build)
    batch = 2 if run.quick else BATCH[run.device.type]
    hair = AREAS["edit, hair"]
    one, many = {}, {}
    for name, each in built.items():
        subject, mask = each.subject, box_mask(hair, each.subject.cells)
        one[name] = each.call(lambda subject=subject, mask=mask: subject.edit(mask))
        many[name] = each.call(subject.batch(batch, mask))
    calls = {(name, size): call for size, of in ((1, one), (batch, many)) for name, call in of.items()}
    times, rates = run.timed({f"{name}, {size}": call for (name, size), call in calls.items()}, title)
    masks = 2 if run.quick else LEAK_MASKS[run.device.type]
    rows = []
    for name, each in built.items():
        work, leak = work_of(many[name], run.device), subject_leak(each, masks)
        pair = times[f"{name}, 1"], times[f"{name}, {batch}"]
        rows.append((name, pair, work, leak))
        run.keep(what=title, row=name, batch=batch, times=[each.all for each in pair], leak=vars(leak), work=vars(work))
    notes.append(f"{rates}; the leak is the largest of {masks} random masks, under which another face is blended in.")
    head = COLUMNS.format(batch=batch)
    return "\n\n".join([f"### {title}", table(head, variant_rows(rows, batch)), *notes])


def variant_rows(found: list[tuple[str, tuple[Times, Times], Work, Leak]], batch: int) -> Iterator[tuple[str, ...]]:
    """Lines with COLUMNS; the first is what the others are compared with."""
    first = found[0][1] if found else None
    for name, (one, many), work, leak in found:
        assert first is not None  # there is a row
        rate = f"{1e3 * batch / many.median:,.0f}"
        faster = [f"{base.median / each.median:.2f}" for base, each in zip(first, (one, many), strict=True)]
        leaks = f"{leak.largest:.1e}" if leak.largest else "0"
        yield name, str(one), faster[0], str(many), rate, faster[1], f"{work.gib:.2f}", leaks, f"{leak.inside:.2f}"


@torch.no_grad()
def subject_leak(variant: BuiltVariant, masks: int) -> Leak:
    """What edits of a subject leak that blend in the styles of another face, so that they change as much as can be."""
    subject = variant.subject
    method, source = subject.method, subject.source
    generator, site = method.frozen.generator, method.frozen.blend_site
    cells = generator.site(site).resolution
    other = method.latents(generator.sample_z([1]), 0.7)
    proposal = method.propose(source, subject.conditions(1)).with_(styles=generator.styles(other), tail=None)
    assert source.image is not None  # every site was walked
    found: list[tuple[Tensor, float]] = []
    for seed in range(masks):
        mask = random_mask(seed, cells).to(source.image)
        made = variant.call(lambda mask=mask: method.render(source, proposal.with_(mask=mask), keep_tail=False))()
        difference = (made.image - source.image).abs().float().amax(1, keepdim=True)
        allowed = allowed_region(mask, halo(generator, site), generator.resolution)
        found.append((difference[~allowed], difference[allowed].max().item()))
    return Leak.of(found)
