"""The time of a training step: in its parts, in variants, and against the number of prompts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from where2edit.commands.benchmarks.growth import Growth
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.sections import left_out, table
from where2edit.commands.benchmarks.settings import Setting
from where2edit.commands.benchmarks.step_parts import PARTS, timed_step
from where2edit.commands.benchmarks.subjects import random_regions
from where2edit.commands.benchmarks.timing import Times
from where2edit.commands.benchmarks.variants import Variant
from where2edit.commands.benchmarks.work import work_of
from where2edit.commands.train import trainer_of
from where2edit.editor.build import build_encoder, build_frozen, build_method
from where2edit.editor.profile import Profile, load_profile
from where2edit.text_image.base import TextImage
from where2edit.text_image.clip import Clip, ClipOptions
from where2edit.training.losses.base import Loss, LossConfig, build_loss
from where2edit.training.trainer import EditorTrainer

PROMPTS = (2, 4, 8, 16, 32)
STEP, FEWEST = "step", "2 prompts"
LATE = 0.5  # share of the run at which the step is made, where every loss has its weight
STANDING = 1e-9  # the learning rate: every step is the same one
CUDA_STEPS = {
    "strict local, fp32, as in 0.1.0": Variant(setting=Setting(local=True)),
    "as configured": Variant(),
    "TF32": Variant(setting=Setting(tf32=True)),
    "bfloat16 autocast": Variant(("training.amp=true",)),
}
CPU_STEPS = {"as configured": Variant(), "bfloat16 autocast": Variant(("training.amp=true",))}
COLUMNS = "step | ms, median (range) | times faster | of the matrix rate | of the copy bandwidth | memory, GiB"
Step = Callable[[], object]


def training_text(run: BenchmarkRun, config: str, overrides: list[str]) -> str:
    """Heading, parts, variants and growth of a profile's training step."""
    profile = standing(load_profile(config, overrides))
    title, what = f"A training step of profile {profile.name}", profile.training
    trainer, notes = built_trainer(profile, run.device)
    notes.append(
        f"{what.sources} source(s), {what.prompts} prompts, at half of the run, where every loss has its weight."
    )
    parts = f"#### Parts\n\n{parts_table(run, title, trainer)}"
    growth = prompt_growth(run, profile.name, trainer)
    del trainer  # its memory goes to the variants
    return "\n\n".join([f"### {title}", *notes, parts, variants_part(run, title, config, overrides), growth.text()])


def standing(profile: Profile) -> Profile:
    """The profile with a learning rate that moves nothing, and without weights that cannot be had everywhere."""
    training = replace(profile.training, lr=STANDING)
    generator = profile.generator
    if generator.name == "stylegan2":
        generator = replace(generator, weights=None)
    return replace(profile, training=training, generator=generator)


def parts_table(run: BenchmarkRun, title: str, trainer: EditorTrainer) -> str:
    """The parts of a step, each with its share of the whole, by steps of one row."""
    steps = [timed_step(trainer, run.device) for _ in range(run.rounds + 1)][1:]
    whole = sum(Times(tuple(step[part] for step in steps)).median for part in PARTS)
    rows = []
    for part in PARTS:
        times = Times(tuple(step[part] for step in steps))
        run.keep(what=title, row=part, times=times.all)
        rows.append((part, str(times), f"{times.median / whole:.0%}"))
    return table("part | ms, median (range) | of the step", rows)


def prompt_growth(run: BenchmarkRun, name: str, trainer: EditorTrainer) -> Growth:
    """Steps with more and more prompts of a source, beside one with two."""

    def calls(prompts: float) -> dict[str, Step]:
        return {FEWEST: step_with(trainer, PROMPTS[0]), STEP: step_with(trainer, int(prompts))}

    growth = Growth(f"Training by prompts, profile {name}", "prompts of a source", FEWEST)
    return run.grown(growth, PROMPTS, calls)


def step_with(trainer: EditorTrainer, prompts: int) -> Step:
    """A step with so many prompts."""

    def step() -> None:
        whole, trainer.config = trainer.config, replace(trainer.config, prompts=prompts)
        try:
            trainer.train_step()
        finally:
            trainer.config = whole

    return step


def variants_part(run: BenchmarkRun, title: str, config: str, overrides: list[str]) -> str:
    """Steps in all variants, timed in the same rounds."""
    steps, notes = {}, []
    for name, variant in (CUDA_STEPS if run.device.type == "cuda" else CPU_STEPS).items():
        try:
            profile = standing(load_profile(config, [*overrides, *variant.overrides]))
            steps[name] = variant_step(built_trainer(profile, run.device)[0], variant)
        except ValueError as error:
            notes.append(left_out(f"No row '{name}'", error))
    times, rates = run.timed(steps, title)
    rows = []
    for name, taken in times.items():
        work = work_of(steps[name], run.device)
        run.keep(what=title, row=name, times=taken.all, work=vars(work), rates=vars(rates))
        faster = f"{next(iter(times.values())).median / taken.median:.2f}"
        rows.append((name, str(taken), faster, *work.shares(taken.median, rates), f"{work.gib:.2f}"))
    return "\n\n".join(["#### Whole steps", table(COLUMNS, rows), *notes, f"{rates}."])


def variant_step(trainer: EditorTrainer, variant: Variant) -> Step:
    """One step of a trainer under the variant's switches. Raises ValueError where it cannot be made."""
    setting = variant.setting
    if setting is not None:
        setting.place(trainer.method.frozen.generator)

    def step() -> object:
        with setting.switched() if setting else nullcontext():
            return trainer.train_step()

    try:
        step()
    except (RuntimeError, NotImplementedError) as error:
        raise ValueError(str(error)) from None
    return step


def built_trainer(profile: Profile, device: torch.device) -> tuple[EditorTrainer, list[str]]:
    """The trainer of a profile, and a sentence on everything that it does without.

    Where weights cannot be had, random ones of the same size take their place: they make no difference to the time.
    """
    encoder, notes = encoder_of(profile, device)
    frozen = build_frozen(profile, encoder, device)
    if frozen.regions is None:
        frozen = replace(frozen, regions=random_regions(frozen.generator, frozen.blend_site, profile.regions.k))
        notes.append("The regions are random.")
    if profile.generator.name == "stylegan2":
        notes.append("The generator's weights are random.")
    method = build_method(profile, frozen, profile.method.weights)
    losses: dict[str, tuple[LossConfig, Loss]] = {}
    for name, entry in profile.losses.items():
        try:
            losses |= {name: (entry, build_loss(name, entry, encoder))} if entry.weight else {}
        except (ValueError, OSError) as error:
            notes.append(left_out(f"Without the loss {name}", error))
    trainer = trainer_of(profile, encoder, method, losses, Path("unused"), "benchmark")
    trainer.step = int(LATE * profile.training.steps)
    return trainer, notes


def encoder_of(profile: Profile, device: torch.device) -> tuple[TextImage, list[str]]:
    """The encoder of a profile; of CLIP its architecture with random weights."""
    if profile.text_image.name != "clip":
        return build_encoder(profile, device), []
    import open_clip

    options: Any = ClipOptions(**profile.text_image.options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        clip = Clip(open_clip.create_model(options.model), options.model, options.pixels)
    return clip.to(device), [f"The weights of CLIP {options.model} are random."]
