"""The benchmark of a training step: its parts are the whole, and it trains what the profile says."""

from dataclasses import replace

import pytest
import torch
from toy_cases import ROOT

from where2edit.commands.benchmarks import training
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.step_parts import PARTS, timed_step
from where2edit.commands.benchmarks.training import built_trainer, prompt_growth, standing, step_with, training_text
from where2edit.editor.profile import load_profile

CPU = torch.device("cpu")
TOY = str(ROOT / "configs/toy.yaml")


def quick():
    return BenchmarkRun(CPU, rounds=1, budget=1e4, quick=True)


@pytest.fixture(scope="module")
def trainer():
    return built_trainer(
        standing(load_profile(TOY, ["training.prompts=2", "training.sources=2", "training.accumulate=2"])), CPU
    )[0]


def test_the_parts_are_the_whole_step(trainer, monkeypatch):
    clock = iter(range(1000))  # a second passes between any two looks at it
    monkeypatch.setattr("where2edit.commands.benchmarks.step_parts.time.perf_counter", lambda: float(next(clock)))
    parts = timed_step(trainer, CPU)
    passes, losses = 2, len(trainer.losses)
    # The end of a pass is a lap of its own, and so is the beginning of the optimizer.
    assert parts == {
        "sources": passes * 1e3,
        "forward": passes * 1e3,
        "losses": passes * losses * 1e3,
        "backward": (passes + 1) * 1e3,
        "optimizer": 1e3,
    }
    assert tuple(parts) == PARTS


def test_a_timed_step_leaves_the_trainer_as_it_was(trainer):
    losses, values = trainer.losses, trainer.train_step()
    timed_step(trainer, CPU)
    assert trainer.losses is losses and "batches" not in vars(trainer)
    assert trainer.train_step() == pytest.approx(values, rel=1e-3), "every step is the same one"


def test_every_loss_has_its_weight_at_the_step(trainer):
    assert trainer.step == 10 and trainer.losses.keys() == load_profile(TOY).losses.keys()
    assert all(entry.at(trainer.step / trainer.config.steps) > 0 for entry, _ in trainer.losses.values())


def test_a_step_can_have_other_numbers_of_prompts(trainer, monkeypatch):
    seen, own = [], trainer.config
    monkeypatch.setattr(trainer, "train_step", lambda: seen.append(trainer.config.prompts))
    step_with(trainer, 32)()
    assert seen == [32] and trainer.config is own


@pytest.mark.slow
def test_steps_grow_with_the_prompts(trainer, monkeypatch):
    monkeypatch.setattr(trainer, "config", replace(trainer.config, sources=1, accumulate=1))
    growth = prompt_growth(quick(), "toy", trainer)
    assert list(growth.points) == [2, 4] and growth.points[2].keys() == {"step", "2 prompts"}


@pytest.mark.slow
def test_a_section_has_parts_variants_and_growth():
    text = training_text(quick(), TOY, ["training.prompts=2"])
    rows = [line.split(" | ")[0] for line in text.splitlines() if line[:1] == "|" and not line.startswith("| ---")]
    parts, steps = [f"| {part}" for part in PARTS], [f"| {name}" for name in training.CPU_STEPS]
    found = [row for row in rows if row in parts + steps]
    assert found == parts + [step for step in steps if step in rows] and steps[0] in rows
    assert "#### Parts" in text and "#### Whole steps" in text and "### Training by prompts, profile toy" in text


def test_a_variant_that_cannot_train_is_left_out(monkeypatch):
    def fails(trainer, variant):
        raise ValueError("no such number format")

    monkeypatch.setattr(training, "variant_step", fails)
    text = training.variants_part(quick(), "Steps", TOY, [])
    assert "No row 'as configured': no such number format." in text


def test_what_cannot_be_had_is_random_or_left_out_and_said(monkeypatch):
    profile = standing(load_profile(TOY))
    monkeypatch.setattr(training, "build_frozen", lambda *what: replace(built(*what), regions=None))
    built_loss = training.build_loss

    def lost(name, *what):
        if name == "style_delta":
            raise ValueError("its weights cannot be fetched")
        return built_loss(name, *what)

    from where2edit.editor.build import build_frozen as built

    monkeypatch.setattr(training, "build_loss", lost)
    trainer, notes = built_trainer(profile, CPU)
    assert "style_delta" not in trainer.losses and trainer.method.frozen.regions.num_regions == profile.regions.k
    assert (
        "Without the loss style_delta: its weights cannot be fetched." in notes and "The regions are random." in notes
    )
