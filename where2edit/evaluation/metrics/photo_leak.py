"""What an edit changes in a photo where it must not (table `photos`).

Legend: B edits of the batch, N edits so far.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch


@METRICS.register("photo_leak")
class PhotoLeak(Metric):
    """The largest of all leaks: one pixel of one photo is enough. Edits that were put into no photo do not count."""

    higher_is_better = False
    of_set = True
    absent = "no edit was put back into its photo"
    protocol = (
        "largest difference, of 255, of a pixel of the photo outside of the area that the edit may touch, before and "
        "after the edit was put back into it"
    )

    def measure(self, batch: EditBatch) -> Tensor:
        return torch.full((len(batch),), torch.nan if batch.leak is None else float(batch.leak))

    def figure(self, values: Tensor) -> float:
        return float(values.max())
