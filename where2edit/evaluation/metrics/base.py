"""What every metric shares: measuring a batch of edits, keeping the measured values, and one figure of all of them.

Legend: B edits of a batch, N edits so far, n of them that count, K numbers that a metric keeps of one edit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from where2edit.evaluation.metrics.edit_batch import EditBatch
from where2edit.evaluation.metrics.intervals import Interval, bootstrap
from where2edit.evaluation.networks import MetricNetworks


class Metric(ABC):
    """One figure of a set of edits. A subclass measures K numbers of each edit and says how they become one figure.

    The state is the measured numbers themselves, one row [K] for each edit, so that parts of a set merge exactly and in
    any order and every figure has a bootstrap interval.
    """

    higher_is_better: bool | None  # None: neither is better; the figure helps to read others
    needs: tuple[str, ...] = ()  # names in MetricNetworks of what it reads
    protocol: str  # one sentence: what exactly is measured, at which resolution, over which pixels
    width: int = 1  # K
    reads_regions: bool = False  # whether it needs the regions that the prompt names
    of_inversion: bool = False  # it compares a photo with its inversion, and no edit (evaluation/photo_runner.py)
    of_set: bool = False  # the figure is of the set as a whole (such as FID), not a mean; its bootstrap is centred
    fewest: int = 1  # samples below which it means nothing
    absent: str = "no sample counts"  # why a prompt may have no figure

    def __init__(self, networks: MetricNetworks | None = None):
        self.networks = networks or MetricNetworks()
        self.index = torch.zeros(0, dtype=torch.int64)
        self.values = torch.zeros(0, self.width)

    @abstractmethod
    def measure(self, batch: EditBatch) -> Tensor:
        """The K numbers of each edit: [B,K] or, for K = 1, [B].

        A row with nan does not count, such as that of an edit whose region is not in the picture.
        """

    def scores(self, values: Tensor) -> Tensor:
        """The score of each edit from its numbers: [N,K] -> [N]. Raises ValueError where only the set has a figure."""
        if self.width > 1 or self.of_set:
            raise ValueError(f"{type(self).__name__} is no mean over samples: only the set as a whole has a figure")
        return values[:, 0]

    def figure(self, values: Tensor) -> float:
        """The figure of measured numbers [N,K] in double precision; by default the mean of their scores."""
        return float(self.scores(values).mean())

    def figure_of_rows(self, values: Tensor) -> Callable[[Tensor], float]:
        """The figure of any choice of the measured rows [N,K], by their numbers; what choices share is computed once.

        A row may be chosen several times: so a bootstrap draws.
        """
        if self.of_set:
            return lambda rows: self.figure(values[rows])
        scores = self.scores(values)
        return lambda rows: float(scores[rows].mean())

    def detail(self, values: Tensor) -> str:
        """A few words that a report puts beside the figure of measured numbers [N,K]; "" for none."""
        return ""

    def measured(self, batch: EditBatch) -> Tensor:
        """What `measure` says; nan for edits whose prompt names no region, where the metric needs one.

        Raises ValueError when the batch lacks what the metric reads.
        """
        if not self.reads_regions:
            return self.measure(batch)
        if len(batch.regions) != len(batch):
            kind = type(self).__name__
            raise ValueError(f"{kind} needs the regions that each of {len(batch)} prompts names, got {batch.regions}")
        values = self.measure(batch).view(len(batch), self.width)
        nameless = torch.tensor([not names for names in batch.regions], device=values.device)
        return values.masked_fill(nameless[:, None], torch.nan)

    def update(self, batch: EditBatch) -> None:
        """Measure one batch. Raises ValueError when the batch lacks what the metric reads."""
        self.insert(batch.index, self.measured(batch))

    def insert(self, index: Tensor, values: Tensor) -> None:
        """Add rows [B,K] that were measured before, such as those of a stopped run.

        index: [B], the number of each sample. Raises ValueError for a sample that is in the metric already.
        """
        values = values.detach().float().cpu().view(len(index), self.width)
        known = torch.isin(index.cpu(), self.index)
        if known.any():
            raise ValueError(f"samples {index[known].tolist()[:5]} are already in this {type(self).__name__}")
        self.index, self.values = torch.cat([self.index, index.cpu()]), torch.cat([self.values, values])

    def merge(self, other: Metric) -> None:
        """Add the samples of another metric of the same class, such as another process's. Raises as `insert` does."""
        if type(other) is not type(self):
            raise ValueError(f"a {type(self).__name__} cannot take in a {type(other).__name__}")
        self.insert(other.index, other.values)

    def state(self) -> dict[str, Tensor]:
        """The samples so far, ordered by number: index [N] and values [N,K]."""
        order = self.index.argsort()
        return {"index": self.index[order], "values": self.values[order]}

    def valid_values(self) -> Tensor:
        """The rows that count, ordered by sample number, in double precision: [n,K]."""
        values = self.state()["values"].double()
        return values[~values.isnan().any(1)]

    def compute(self) -> float:
        """The figure so far. Raises ValueError before the first sample that counts, and for fewer than `fewest`."""
        rows = self.valid_values()
        if not len(rows):
            raise ValueError(f"{type(self).__name__} has no sample that counts; update it with at least one batch")
        if len(rows) < self.fewest:
            got = f"{type(self).__name__} of {len(rows)} samples means nothing"
            raise ValueError(f"{got}; give at least {self.fewest}")
        return self.figure(rows)

    def interval(self, replicates: int = 200, seed: int = 0, level: float = 0.95) -> Interval:
        """Bootstrap interval of `compute` over samples."""
        values = self.valid_values()
        figure = self.figure_of_rows(values)
        return bootstrap(torch.arange(len(values)), figure, replicates, seed, level, centred=self.of_set)
