"""The training of methods that learn one prompt: a model for each prompt, all in one folder with an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from where2edit.commands.outputs import writable
from where2edit.core import distributed
from where2edit.core.sentences import quoted
from where2edit.editor.build import learns_one_prompt
from where2edit.editor.denials import single
from where2edit.editor.profile import Profile
from where2edit.editor.prompt_weights import TrainedPrompt, add_to_index, model_file, read_index
from where2edit.editor.weights import publish_editor
from where2edit.files.fingerprints import digest, file_sha256
from where2edit.files.locks import locked
from where2edit.methods.prompt_models import plain
from where2edit.training.trainer import MANY_PROMPTS, ONE_PROMPT, EditorTrainer

Publish: TypeAlias = Callable[[EditorTrainer], None]
# Makes the run of a folder, with this fingerprint and these prompts, or goes on with it; then it is published.
Run: TypeAlias = Callable[[Path, str, Publish, Sequence[str]], EditorTrainer]


def check_mode(profile: Profile, prompts: Sequence[str]) -> None:
    """Raise ValueError where the method, training.mode and the prompts that were given do not go together."""
    name, mode = profile.method.name, profile.training.mode
    one = learns_one_prompt(profile)
    if (mode == ONE_PROMPT) != one:
        learns, needed = ("one prompt", ONE_PROMPT) if one else ("many prompts", MANY_PROMPTS)
        raise ValueError(f"a model of the method '{name}' learns {learns}; set training.mode={needed}")
    if prompts and not one:
        raise ValueError(f"'{name}' draws its prompts from data.captions; leave out --prompt")
    if one and not prompts:
        raise ValueError(f"'{name}' learns a model for each prompt; give one or more, as in --prompt 'a beard'")
    if len(set(map(plain, prompts))) < len(prompts):
        raise ValueError("a prompt is given twice; give each --prompt once")
    if denied := [prompt for prompt in prompts if single(prompt).denied]:
        raise ValueError(f"{quoted(denied[0])} denies something; train what it denies, and edit with the denial")


def train_prompts(profile: Profile, prompts: Sequence[str], out: Path, fingerprint: str, run: Run) -> str:
    """Train a model for each prompt that has none yet, or go on; returns one line on where they lie.

    The folder `out` gets the models, their index (editor/prompt_weights.py), and a folder for each run, in which the
    models of several prompts share their sources. fingerprint: names the config. Raises ValueError for a prompt that
    was trained there with another config, and for more than one process.
    """
    if distributed.world() > 1:
        raise ValueError("training.mode=one_prompt runs in one process; start it by python, without torchrun")
    known, steps = read_index(writable(out)), profile.training.steps
    if other := [prompt for prompt in prompts if plain(prompt) in known and known[plain(prompt)].config != fingerprint]:
        raise ValueError(
            f"{out} has a model of {quoted(other[0])} that was trained with another config; choose another folder "
            "with --out"
        )
    missing = sorted(p for p in map(plain, prompts) if p not in known or known[p].steps < steps)
    if not missing:
        return f"{out} has a model of every prompt already, after {steps} steps or more"
    trainer = run(
        out / f"run-{digest(missing)}",
        digest([fingerprint, missing]),
        lambda trainer: publish_models(trainer, profile, missing, out, fingerprint),
        missing,
    )
    return f"{out} has models of {', '.join(missing)} after {trainer.step} steps; edit with --weights {out}"


def publish_models(
    trainer: EditorTrainer, profile: Profile, prompts: Sequence[str], out: Path, fingerprint: str
) -> None:
    """Write the model of each prompt into the folder `out`, and then the index that names them."""
    trained = {}
    for prompt, model in zip(prompts, trainer.method.models, strict=True):
        path = out / model_file(prompt)
        publish_editor(model, profile, path, prompt)
        trained[prompt] = TrainedPrompt(path.name, file_sha256(path), fingerprint, trainer.step)
    with locked(out):
        add_to_index(out, trained)
