"""The training of an editor: folders, processes, progress sheets and the published weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import yaml

from where2edit.commands.alignment_training import alignment_trainer
from where2edit.commands.options import add_config, add_device, add_out, add_overrides, filled, new_parser
from where2edit.commands.outputs import writable
from where2edit.commands.prompt_training import check_mode, train_prompts
from where2edit.core import config as configs
from where2edit.core import distributed
from where2edit.editing.conditions import Conditions
from where2edit.editor.build import (
    build_conditions,
    build_encoder,
    build_frozen,
    build_method,
    built,
)
from where2edit.editor.layer_sheets import layer_rows, layer_sheet
from where2edit.editor.profile import Profile, load_profile
from where2edit.editor.weights import RESULT, find_weights, publish_editor
from where2edit.files import pictures
from where2edit.files.atomic import write_text
from where2edit.files.fingerprints import digest, file_sha256
from where2edit.methods.base import Method
from where2edit.methods.prompt_models import PromptModels
from where2edit.text_image.base import TextImage
from where2edit.training.colour_fitting import fit_colours
from where2edit.training.losses.base import Loss, LossConfig, build_loss
from where2edit.training.prompts import FixedPrompts, PromptSampler, read_phrases
from where2edit.training.run_folder import run_folder
from where2edit.training.semantic_directions import fit_semantic_directions
from where2edit.training.space_alignment import AlignmentTrainer
from where2edit.training.trainer import EditorTrainer

# Prompts and faces of the progress sheets; the same in every run, so that runs can be compared by eye.
SHEET_PROMPTS = ("blond hair", "purple hair", "a big smile", "red lipstick", "eyeglasses", "a beard", "an old person")
SHEET_SEEDS = (0, 1, 2)


def main(help_text: str) -> None:
    """Train, or go on where the run in --out stopped."""
    parser = new_parser(help_text)
    words = "prompt that a model is trained for, with training.mode=one_prompt; several are trained side by side"
    parser.add_argument("--prompt", type=filled, action="append", default=[], help=words)
    parser.add_argument(
        "--init", type=filled, help="trained editor to start from: asset name or path (default: fresh weights)"
    )
    add_config(parser)
    add_device(parser)
    add_out(parser, "out/train", "folder of the run")
    add_overrides(parser, "training.steps=200")
    options = parser.parse_args()
    profile = load_profile(options.config, options.overrides)
    print(train(profile, options.out, options.device, options.init, options.prompt))


def train(
    profile: Profile,
    out: Path,
    device: str = "auto",
    init: str | None = None,
    prompts: Sequence[str] = (),
) -> str:
    """Train an editor as its profile says, or go on; returns one line on where it lies. torchrun starts many processes.

    The folder `out` holds config.yaml, state.safetensors (to resume), train.jsonl, sheets and, in the end,
    editor.safetensors. init: a trained editor to start from. prompts: those of a method that learns one prompt, for
    which the folder is what `train_prompts` says. A run that has ended goes on where more steps are asked for. Raises
    ValueError for what cannot train, and for a folder that another run works in or that holds the run of another
    config.
    """
    check_mode(profile, prompts)
    named = profile.training_digest
    fingerprint = digest([named, file_sha256(find_weights(init))]) if init else named
    device = distributed.start_processes(device)
    run = partial(finished_run, profile, device, init)
    if prompts:
        return train_prompts(profile, prompts, out, fingerprint, run)
    trainer = run(out, fingerprint, lambda trainer: publish_editor(trainer.method, profile, out / RESULT))
    distributed.leave()
    return f"{out / RESULT} after {trainer.step} steps; sheets and train.jsonl beside it"


def finished_run(
    profile: Profile,
    device: str,
    init: str | None,
    out: Path,
    fingerprint: str,
    publish: Callable[[EditorTrainer | AlignmentTrainer], None],
    prompts: Sequence[str] = (),
) -> EditorTrainer | AlignmentTrainer:
    """Make the run of the folder `out`, or go on with it, and publish it; returns its trainer after the last step."""
    # The run of another config is refused before anything is built or written.
    with run_folder(writable(out), fingerprint, profile.training.steps, RESULT) as begun:
        trainer = build_trainer(profile, out, fingerprint, device, init, fresh=not (begun or init), prompts=prompts)
        if distributed.rank() == 0:
            write_text(out / "config.yaml", yaml.safe_dump(configs.as_dict(profile), sort_keys=False))
        trainer.run()
        if distributed.rank() == 0:
            publish(trainer)
    return trainer


def build_trainer(
    profile: Profile,
    out: Path,
    fingerprint: str,
    device: str,
    init: str | None,
    fresh: bool,
    prompts: Sequence[str] = (),
) -> EditorTrainer | AlignmentTrainer:
    """The trainer of a run with everything that it needs; `fresh`: what a new mapper starts with is fitted.

    prompts: those that a model each is trained for; none where one model learns the prompts of the captions.
    """
    # What is trained.
    encoder = build_encoder(profile, device)
    frozen = build_frozen(profile, encoder, device, "float32")
    if prompts:
        start = None if init is None else find_weights(init)
        method: Method = PromptModels({prompt: built(profile, frozen, start) for prompt in prompts})
    else:
        method = build_method(profile, frozen, init)
    method.precompute(encoder)
    if method.learns_codes:
        draw = partial(progress_sheet, method, build_conditions(profile, encoder, truncate=True), profile)
        return alignment_trainer(profile, encoder, method, out, fingerprint, partial(draw, shown=SHEET_PROMPTS))
    # What it is trained with: losses and prompts.
    losses = {name: (entry, build_loss(name, entry, encoder)) for name, entry in profile.losses.items() if entry.weight}
    trainer = trainer_of(profile, encoder, method, losses, out, fingerprint, prompts)
    if fresh:
        prepare(method, encoder, profile)
    return trainer


def trainer_of(
    profile: Profile,
    encoder: TextImage,
    method: Method,
    losses: dict[str, tuple[LossConfig, Loss]],
    out: Path,
    fingerprint: str,
    prompts: Sequence[str] = (),
) -> EditorTrainer:
    """The trainer of a method with these losses and the given prompts, or those of the profile's captions."""
    conditions, training = build_conditions(profile, encoder, truncate=True), profile.training
    sampler: PromptSampler | FixedPrompts
    if prompts:
        sampler, training = FixedPrompts(prompts, conditions), replace(training, prompts=len(prompts))
    else:
        phrases = list(profile.data.phrases) or read_phrases(profile.captions_folder, training.seed)
        sampler = PromptSampler(phrases, conditions, profile.data.distinct)
    shown = prompts or profile.data.phrases[: len(SHEET_PROMPTS)] or SHEET_PROMPTS
    return EditorTrainer(
        training,
        method,
        sampler,
        losses,
        out,
        profile.method.strength,
        fingerprint,
        lambda path: progress_sheet(method, conditions, profile, path, shown),
    )


def prepare(method: Method, encoder: TextImage, profile: Profile) -> None:
    """Fit what a fresh mapper needs before the first step: semantic directions, and the shifts of colours."""
    options, training = getattr(getattr(method, "mapper", None), "options", None), profile.training
    if faces := getattr(options, "direction_faces", 0):
        fit_semantic_directions(method, encoder, faces, training.seed, training.use_preview_head)
    if colours := getattr(options, "colours", ()):
        fit_colours(method, encoder, colours, profile.method.strength, training.seed)


@torch.no_grad()
def progress_sheet(method: Method, conditions: Conditions, profile: Profile, path: Path, shown: Sequence[str]) -> None:
    """Write a picture of what the method does now: for each seed the source, its edits, and their masks below.

    Where layers have masks of their own, a second picture beside it, `*-layers.png`, shows those.
    """
    generator, rows, use_preview_head = method.frozen.generator, [], profile.training.use_preview_head
    by_layer: list[list[torch.Tensor]] = []
    prompts = list(shown)
    condition = conditions.of(prompts, profile.method.strength, per_source=len(prompts))
    for seed in SHEET_SEEDS:
        source = method.source(generator.w(generator.sample_z([seed]), profile.training.truncation), use_preview_head)
        edit = method(source, condition, use_preview_head)
        masks = [pictures.overlay_mask(image, mask) for image, mask in zip(edit.image, edit.mask, strict=True)]
        rows += [[source.image[0], *edit.image], [None, *masks]]
        by_layer += layer_rows(source, edit) if edit.by_layer else []
    pictures.save_png(pictures.sheet(rows, column_labels=("source", *prompts), cell=160), path)
    if edit.by_layer:
        labels = prompts * len(SHEET_SEEDS)
        pictures.save_png(layer_sheet(by_layer, labels, edit.by_layer.masks), path.with_name(f"{path.stem}-layers.png"))
