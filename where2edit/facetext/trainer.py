"""The trainer of facetext's towers and of the judge.

It averages the weights over the steps, balances the concepts, and ends with refining steps for the weakest concepts.
Under torchrun every process works on its share of each batch and the gradients are averaged.

Legend: B pictures, C concepts. Pictures are [B,3,s,s] in [-1,1]; truth [B,C] is 1, 0 or -1 for unknown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from where2edit.core import distributed
from where2edit.core.distributed import average_gradients, step_seed
from where2edit.facetext.balance import Balance
from where2edit.facetext.batches import FaceBatches
from where2edit.facetext.config import EncoderConfig, rate_at
from where2edit.facetext.objectives import attacked
from where2edit.files.fingerprints import MOST_BYTES, config_digest, digest, file_sha256
from where2edit.files.regular import regular_file
from where2edit.files.tensor_checks import fitted
from where2edit.training.loop import Pace, TrainingLoop
from where2edit.training.state import ADVICE

FIRST_COUNT, FIRST_COUNTS = -100, 30  # number of the first batch that is only counted; how many such batches
LARGEST_GRADIENT = 1.0  # norm to which the gradient of a step is clipped
SMALLEST_SIZE = 1e-3  # root mean square that a tensor is taken to have at least, where its rate is set

PictureLoss = Callable[[nn.Module, Tensor, Tensor, int], Tensor]  # (net, images, truth, step) -> scalar


def fingerprint(config: EncoderConfig, weights: Path | None = None) -> str:
    """What names the run of a config: all that changes its numbers, but for its length, which may grow.

    weights: the file of trained weights that it starts from.
    """
    named = config_digest(config, without=("schedule.steps", "schedule.save_every"))
    return digest([named, file_sha256(regular_file(weights, "weights", MOST_BYTES))]) if weights else named


class EncoderTrainer(TrainingLoop):
    """Trains `net` with AdamW; its result is the running average of the weights.

    heads: parameters that start untrained; slow: parameters that hardly need training; the others are pretrained. Each
    of the three kinds has its own rate (Schedule). report(average) gives figures for the log every `report_every`
    steps. weights: the file of trained weights that `net` starts from, if any.
    """

    shown = ("loss",)

    def __init__(
        self,
        net: nn.Module,
        heads: list[nn.Parameter],
        slow: list[nn.Parameter],
        source: FaceBatches,
        balance: Balance,
        loss: PictureLoss,
        config: EncoderConfig,
        folder: Path,
        device: str,
        report: Callable[[nn.Module], dict[str, float]] | None = None,
        report_every: int = 0,
        weights: Path | None = None,
    ):
        self.net, self.source, self.balance, self.loss = net.to(device), source, balance, loss
        self.config, self.device, self.title = config, device, folder.name
        self.report, self.report_every = report, report_every
        self.average = deepcopy(self.net).requires_grad_(False)
        self.before: dict[str, Tensor] | None = None  # the averaged weights as they were when the refining began
        schedule = config.schedule
        groups = parameter_groups(
            net, schedule.rate, {"heads": (heads, schedule.head_rate), "slow": (slow, schedule.slow_rate)}
        )
        optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=schedule.weight_decay)
        pace = Pace(schedule.steps, schedule.save_every)
        super().__init__(self.net, optimizer, folder, pace, fingerprint(config, weights))

    def skip_to(self, step: int) -> None:
        """Begin at `step`, with trained weights; a run with a later snapshot goes on from that."""
        self.first_step = step

    def resume(self) -> None:
        super().resume()
        if not self.balance.steps:
            # A first count of the sides keeps the weights of the first steps from extremes.
            for i in range(FIRST_COUNTS):
                self.balance.update(self.source(FIRST_COUNT - i, self.config.schedule.small_size)[1])

    def extra_state(self) -> dict[str, Tensor]:
        extra = {f"average.{name}": value for name, value in self.average.state_dict().items()}
        extra |= {f"before.{name}": value for name, value in (self.before or {}).items()}
        extra["rates"] = torch.tensor([g["full"] for g in self.optimizer.param_groups], dtype=torch.float64)
        extra["balance.counts"] = self.balance.counts
        extra["balance.steps"] = torch.tensor(self.balance.steps)
        return extra

    def restore(self, extra: Mapping[str, Tensor]) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in extra.items() if name.startswith(prefix)}

        before = part("before.")
        if before:
            before = fitted(before, self.average.state_dict(), self.state_path, "this run", ADVICE)
        own, rest = (
            {name: value for name, value in state.items() if not name.startswith("before.")}
            for state in (self.extra_state(), extra)
        )
        extra = fitted(rest, own, self.state_path, "this run", ADVICE)
        self.average.load_state_dict(part("average."))
        self.before = {name: value.to(self.device) for name, value in before.items()} or None
        for group, rate in zip(self.optimizer.param_groups, extra["rates"].tolist(), strict=True):
            group["full"] = rate
        self.balance.counts, self.balance.steps = extra["balance.counts"], int(extra["balance.steps"])

    def line(self, values: dict[str, float]) -> dict[str, float]:
        """The figures of the step, every so often with those of the report."""
        if not (self.report and self.report_every and self.step % self.report_every == 0):
            return values
        figures = {**values, **self.report(self.average)}
        tqdm.write(json.dumps({"step": self.step, **figures}))
        return figures

    def result(self) -> nn.Module:
        """What is published: the averaged weights, with a share of those from before the refining."""
        result, keep = deepcopy(self.average), self.config.schedule.refine.keep
        if self.before and keep:
            for name, value in result.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(self.before[name], keep)
        return result

    def train_step(self) -> dict[str, float]:
        """One step of AdamW on this process's batch; returns this process's own loss, and the seconds it took."""
        begin, step, schedule = time.perf_counter(), self.step, self.config.schedule
        batch = step * distributed.world() + distributed.rank()
        torch.manual_seed(step_seed(schedule.seed, batch))
        images, truth = self.source(batch, self._size(), self.device)
        self.balance.update(truth)
        self.net.train()
        self._set_rates()
        self._refine()
        if self._attacks():
            images = attacked(images, schedule.attack_size, lambda x: self.loss(self.net, x, truth, step))
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=schedule.bfloat16):
            loss = self.loss(self.net, images, truth, step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.net.parameters())
        nn.utils.clip_grad_norm_(self.net.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self._update_average()
        return {"loss": float(loss.detach()), "seconds": time.perf_counter() - begin}

    def _size(self) -> int:
        """Pixels of the step's pictures: small in the first part of a run, which saves time."""
        schedule = self.config.schedule
        small = self.step < schedule.small_share * schedule.steps
        return schedule.small_size if small else self.config.material.size

    def _attacks(self) -> bool:
        """Whether half of the step's pictures are perturbed against the network."""
        schedule = self.config.schedule
        late = self.step >= schedule.attack_from * schedule.steps
        return bool(schedule.attack_every) and self.step % schedule.attack_every == 0 and late

    def _refine(self) -> None:
        """Keep the averaged weights at the first refining step; balance its concepts inside groups from then on."""
        refine = self.config.schedule.refine
        if self.step == refine.start:
            self.before = deepcopy(self.average.state_dict())
        if refine.at(self.step):
            self.balance.inside(refine.concepts, refine.within)

    def _set_rates(self) -> None:
        """The rate of each group: its full one times that of the schedule; 0 for slow ones while the run refines."""
        refining = self.config.schedule.refine.at(self.step)
        for group in self.optimizer.param_groups:
            still = refining and group.get("kind") == "slow"
            group["lr"] = 0.0 if still else group["full"] * rate_at(self.step, self.config.schedule)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Move the average towards the new weights, at first fast, so that the first steps do not linger in it."""
        schedule = self.config.schedule
        longest = schedule.refine.average if schedule.refine.at(self.step) else schedule.average
        decay = min(longest, (1 + self.step) / (10 + self.step))
        for kept, new in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
            kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)


def parameter_groups(
    net: nn.Module, rate: float, own: Mapping[str, tuple[list[nn.Parameter], float]]
) -> list[dict[str, Any]]:
    """AdamW's groups, each with `full`, its rate at full pace: one per pretrained tensor, one per kind of `own`.

    own: by their kind, parameters that are not pretrained, and their rate. Folding the normalisation into the
    convolutions leaves tensors fifty times larger than others, so that the rate of a pretrained tensor is the share
    `rate` of its own root mean square.
    """
    others = {id(p) for parameters, _ in own.values() for p in parameters}
    base = [p for p in net.parameters() if p.requires_grad and id(p) not in others]
    sizes = [float(p.detach().square().mean().sqrt().clamp_min(SMALLEST_SIZE)) for p in base]
    groups: list[dict[str, Any]] = [{"params": [p], "full": rate * size} for p, size in zip(base, sizes, strict=True)]
    return groups + [{"params": p, "full": full, "kind": kind} for kind, (p, full) in own.items() if p]
