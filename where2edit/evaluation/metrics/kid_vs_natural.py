"""KID of edited images against faces that have the attribute by nature: an edit that goes too far leaves them again.

Other figures rise with the strength of an edit; this one is lowest where edits look like natural examples. What edits
cannot change (who has grey hair by nature is old) keeps it above 0: read it beside the no-op's and between strengths.

Legend: N edits, n of one prompt, M natural examples of what it asks for, D = 2048 features, R random draws.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.edit_batch import EditBatch
from where2edit.evaluation.metrics.fid import WIDTH
from where2edit.evaluation.metrics.intervals import Interval, ends
from where2edit.evaluation.metrics.kid import kernel, mean_of_pairs
from where2edit.evaluation.metrics.natural import AgainstNatural, asked_numbers
from where2edit.evaluation.natural_faces import HAS

MOST = 1000  # natural examples that are read; the noise of a figure then comes from its edits
DRAWS = 200  # of the floor


def independent_distance(aa: Tensor, ab: Tensor, within_b: Tensor) -> Tensor:
    """KID of two independent sets, unbiased: kernels [N,N] and [N,M], and the mean over pairs of the second set."""
    return mean_of_pairs(aa) - 2 * ab.mean() + within_b


def null_distances(within: Tensor, n: int, draws: int, seed: int = 0) -> Tensor:
    """KID of n random examples against the other M - n, for R draws: [R]. within: kernel of M examples [M,M]."""
    m, generator = len(within), torch.Generator().manual_seed(seed)
    picks = torch.stack([torch.randperm(m, generator=generator)[:n] for _ in range(draws)])
    chosen = torch.zeros(draws, m).scatter_(1, picks, 1).to(within)  # [R,M]
    pairs = within - within.diagonal().diag()
    to_chosen, rest = chosen @ pairs, 1 - chosen
    to_rest = pairs.sum(0) - to_chosen
    inside = (to_chosen * chosen).sum(1) / (n * (n - 1))
    outside = (to_rest * rest).sum(1) / ((m - n) * (m - n - 1))
    return inside + outside - 2 * (to_chosen * rest).sum(1) / (n * (m - n))


class KidAgainstNatural(AgainstNatural):
    """A KID to the natural examples of each concept, averaged over concepts."""

    of_set = True
    fewest_edits = 2

    def natural_features(self, number: float) -> Tensor:
        """The features [M,D] of the natural examples of what a number of `asked_numbers` asks for, at most MOST."""
        return self.natural.features[self.examples(number)[:MOST]].double()


@METRICS.register("kid_vs_natural")
class KidVsNatural(KidAgainstNatural):
    higher_is_better = False
    needs = ("judge", "inception", "natural_faces")
    protocol = (
        f"KID of edited images to unedited generated faces of other seeds that have the attribute (judge above {HAS}), "
        "cubic kernel, unbiased, mean over prompts"
    )
    width = 1 + WIDTH

    def measure(self, batch: EditBatch) -> Tensor:
        return torch.cat([asked_numbers(batch)[:, None], batch.after.embedding("inception")], 1)

    def figure(self, values: Tensor) -> float:
        return self.figure_of_rows(values)(torch.arange(len(values)))

    def figure_of_rows(self, values: Tensor) -> Callable[[Tensor], float]:
        asked, place = values[:, 0], torch.zeros(len(values), dtype=torch.int64)  # place of a row among its concept's
        kernels = {}
        for number in asked.unique().tolist():
            mine = asked == number
            place[mine] = torch.arange(int(mine.sum()))
            edits, natural = values[mine, 1:], self.natural_features(number)
            within_natural = mean_of_pairs(kernel(natural, natural))
            kernels[number] = kernel(edits, edits), kernel(edits, natural), within_natural

        def figure(rows: Tensor) -> float:
            found = []
            for number, (aa, ab, within_natural) in kernels.items():
                mine = place[rows[asked[rows] == number]]
                if len(mine) >= self.fewest_edits:
                    found.append(independent_distance(aa[mine][:, mine], ab[mine], within_natural))
            return float(torch.stack(found).mean()) if found else float("nan")

        return figure


@METRICS.register("kid_vs_natural_floor")
class KidVsNaturalFloor(KidAgainstNatural):
    """What kid_vs_natural says of natural examples themselves. It depends on the number of edits, not on the edits.

    Its interval is no bootstrap: it holds the share `level` of random draws.
    """

    higher_is_better = None
    needs = ("judge", "natural_faces")
    protocol = (
        "kid_vs_natural of as many natural examples as there are edits (at most half of them), against the others: "
        "mean and interval of 200 random draws; what lies inside the interval is no worse than nature"
    )

    def measure(self, batch: EditBatch) -> Tensor:
        return asked_numbers(batch)

    def figure(self, values: Tensor) -> float:
        return float(self._draws(values, DRAWS).mean())

    def interval(self, replicates: int = DRAWS, seed: int = 0, level: float = 0.95) -> Interval:
        value, values = self.compute(), self.valid_values()
        return Interval(value, *ends(self._draws(values, replicates, seed), level), len(values), level)

    def detail(self, values: Tensor) -> str:
        """How many natural examples there are."""
        return f"{sum(len(self.examples(number)) for number in values[:, 0].unique().tolist())} examples"

    def _draws(self, values: Tensor, draws: int, seed: int = 0) -> Tensor:
        """Random draws of the figure: [R]."""
        numbers, counts = values[:, 0].unique(return_counts=True)
        found = []
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            natural = self.natural_features(number)
            found.append(null_distances(kernel(natural, natural), min(count, len(natural) // 2), draws, seed))
        return torch.stack(found).mean(0)
