"""The training of an editor (Eq. 8) on one CPU, one GPU or many processes.

It knows methods and losses by their interfaces only. All processes edit the same sources, each with its own share of
the prompts. A method that learns one prompt is trained on several at once as PromptModels, which share the sources.

Legend: n sources per step, m prompts per source over all processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from where2edit.core import distributed
from where2edit.core.bounds import Count, Few, Rate, Seed, Share, Truncation
from where2edit.core.config import YOUNGER, check_values
from where2edit.core.distributed import average_gradients, step_seed
from where2edit.core.records import Condition, Source
from where2edit.methods.base import Method
from where2edit.training.loop import Pace, TrainingLoop
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import Loss, LossConfig
from where2edit.training.prompts import FixedPrompts, PromptSampler

CHECK_EVERY, CHECKS = 10, 20  # fewest steps between two checks for warnings; most checks in a run
MANY_PROMPTS, ONE_PROMPT = "many_prompts", "one_prompt"
SETTLED = 0.3  # share of the run before the first check: by then the attention has been trained for a while


@dataclass(frozen=True)
class TrainingConfig:
    """The `training` section."""

    steps: Count = 10_000
    sources: Few = 1  # n
    prompts: Few = 8  # m
    accumulate: Few = 1  # backward passes that the n sources of a step are spread over, to save memory
    lr: Rate = 0.01
    warmup: Share = 0.05  # share of the run with a linearly growing rate
    decay: Share = 0.25  # share of the run, at its end, with a cosine decay
    use_preview_head: bool = False  # losses read the preview head's picture instead of the full image
    amp: bool = False  # bfloat16 where autocast knows that it is safe
    truncation: Truncation = 0.7
    seed: Seed = 200
    snapshot_every: Count = 1000
    sheet_every: Count = 1000
    tensorboard: bool = True  # also log for TensorBoard, where it is installed
    # many_prompts: one model, prompts drawn from the captions; one_prompt: a model for each prompt that is given.
    mode: Literal["many_prompts", "one_prompt"] = field(default=MANY_PROMPTS, metadata=YOUNGER)

    def __post_init__(self):
        check_values(self, "training")
        if self.sources % self.accumulate:
            raise ValueError(
                f"training.sources={self.sources} cannot be spread over training.accumulate={self.accumulate} passes; "
                "make sources a multiple of accumulate"
            )

    @property
    def prompts_of_a_model(self) -> int:
        """How many prompts of one source a model sees in a step."""
        return 1 if self.mode == ONE_PROMPT else self.prompts


def learning_rate(config: TrainingConfig, step: int) -> float:
    """The learning rate of a step: linear warm-up, flat, cosine decay to 0. With t = step/steps,

    lr [1/2 - 1/2 cos(pi min(1, (1-t)/decay))] min(1, t/warmup); step 0 has rate 0.
    """
    t = step / config.steps
    decay = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / config.decay)) if config.decay else 1.0
    return config.lr * decay * (min(1.0, t / config.warmup) if config.warmup else 1.0)


class EditorTrainer(TrainingLoop):
    """Trains one method with Adam on the weighted sum of its losses.

    losses: by name, with the section of the config that gives the weight; strength: alpha in Eq. 1; sheet(path) draws
    a progress sheet. Raises ValueError for what cannot train: no loss, too few prompts, prompts that the processes
    cannot share, a preview head that is not there, a method without parameters.
    """

    shown = ("total", "mask")

    def __init__(
        self,
        config: TrainingConfig,
        method: Method,
        prompts: PromptSampler | FixedPrompts,
        losses: dict[str, tuple[LossConfig, Loss]],
        folder: Path,
        strength: float,
        fingerprint: str,
        sheet: Callable[[Path], None] | None = None,
    ):
        self.config, self.method, self.prompts = config, method, prompts
        self.losses, self.strength = losses, strength
        check_trainable(config, method, losses)
        method.schedule(1.0)  # releases everything that will ever be trained
        self.parameters = [p for p in method.parameters() if p.requires_grad]
        if not self.parameters:
            raise ValueError(f"{type(method).__name__} has nothing to train; choose another method.name")
        self.device = self.parameters[0].device
        pace = Pace(config.steps, config.snapshot_every, config.sheet_every, config.tensorboard)
        fused = self.device.type == "cuda" or None  # all parameters in one launch; on a CPU torch's own choice
        optimizer = torch.optim.Adam(self.parameters, lr=config.lr, fused=fused)
        super().__init__(method, optimizer, folder, pace, fingerprint, sheet)

    def train_step(self) -> dict[str, float]:
        """One step of Adam on the sum of the weighted losses; returns what is logged, the mean over all processes."""
        torch.manual_seed(step_seed(self.config.seed, self.step))
        self.method.train()
        self.method.schedule(self.step / self.config.steps)
        self.optimizer.zero_grad(set_to_none=True)
        passes = [self._backward(source, condition) for source, condition in self.batches()]
        values = {name: sum(each[name] for each in passes) / len(passes) for name in passes[0]}
        values = distributed.mean(values, self.device)
        if not math.isfinite(values["total"]):
            raise ValueError(
                f"the loss is {values['total']} at step {self.step + 1}; start again in another folder (--out) with a "
                "lower training.lr, or without training.amp"
            )
        average_gradients(self.parameters)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        self.optimizer.step()
        return values

    def _backward(self, source: Source, condition: Condition) -> dict[str, float]:
        """Add the gradients of one of the step's passes; returns its losses."""
        t = self.step / self.config.steps
        with self._autocast():
            edit = self.method(source, condition, use_preview_head=self.config.use_preview_head)
            assert edit.image is not None  # the method has rendered it
            edit = edit.with_(image=edit.image.float())  # resizing with antialiasing has no bfloat16
            terms = {name: loss(source, edit, condition) for name, (_, loss) in self.losses.items()}
            total = sum(config.at(t) * terms[name] for name, (config, _) in self.losses.items())
        (total / self.config.accumulate).backward()
        shown = {"total": total, **{f"losses.{name}": value for name, value in terms.items()}}
        shown |= {} if edit.attention is None else {"attention": edit.attention.mean()}
        shown |= {"mask": (edit.mask > 0).float().mean()}
        return {name: value.item() for name, value in shown.items()}

    def batches(self) -> Iterator[tuple[Source, Condition]]:
        """The step's sources (the same in every process) with this process's share of their prompts.

        They come in `accumulate` parts of n/accumulate sources each.
        """
        random = torch.Generator().manual_seed(step_seed(self.config.seed, self.step))
        z = torch.randn(self.config.sources, self.method.frozen.generator.z_dim, generator=random).to(self.device)
        drawn = self.prompts.draw(self.config.sources, self.config.prompts, random)
        share = self.config.prompts // distributed.world()
        first = distributed.rank() * share
        each = self.config.sources // self.config.accumulate
        for start in range(0, self.config.sources, each):
            w = self.method.latents(z[start : start + each], self.config.truncation)
            source = self.method.source(w, use_preview_head=self.config.use_preview_head)
            mine = [prompt for prompts in drawn[start : start + each] for prompt in prompts[first : first + share]]
            yield source, self.prompts.conditions.of(mine, self.strength, per_source=share)

    def _autocast(self):
        """bfloat16 where training.amp asks for it."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.config.amp else nullcontext()

    def line(self, values: dict[str, float]) -> dict[str, float]:
        return {"training.lr": learning_rate(self.config, self.step - 1), **values}

    def warnings(self, values: dict[str, float]) -> list[str]:
        # The losses' advice is for the method that all prompts share; another may lack what they speak of.
        asked = self.losses if self.config.mode == ONE_PROMPT else None
        return early_warnings(self.config, self.step, values, asked)


def check_trainable(config: TrainingConfig, method: Method, losses: dict[str, tuple[LossConfig, Loss]]) -> None:
    """Raise ValueError for a combination of config, method and losses that cannot train."""
    if not losses:
        raise ValueError("no loss has a weight; give at least one, as in losses.style_delta.weight=1")
    for _, loss in losses.values():
        loss.check_prompts(config.prompts_of_a_model)
    if config.prompts % distributed.world():
        raise ValueError(
            f"training.prompts={config.prompts} cannot be shared by {distributed.world()} processes; "
            "make it a multiple of their number"
        )
    method.frozen.preview(config.use_preview_head)  # refuses a preview head that is not there


def early_warnings(
    config: TrainingConfig, step: int, values: dict[str, float], asked: Iterable[str] | None = None
) -> list[str]:
    """The losses' warnings of a run that is going wrong; asked at most CHECKS times, after SETTLED of the run.

    asked: names of losses; None: all that there are.
    """
    if step % max(CHECK_EVERY, config.steps // CHECKS) or step < SETTLED * config.steps:
        return []
    names, prompts = LOSSES.names() if asked is None else asked, config.prompts_of_a_model
    return [warning for name in names for warning in LOSSES.get(name).warnings(values, prompts)]
