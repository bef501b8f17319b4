"""Seconds for one edit (Table 4): from latents and prompt embedding to the edited image; encoders do not count."""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.base import Metric
from where2edit.evaluation.metrics.edit_batch import EditBatch


@METRICS.register("run_time")
class RunTime(Metric):
    higher_is_better = False
    protocol = "seconds per edited image, from latents and prompt embedding to pixels, after one edit to warm up"

    def measure(self, batch: EditBatch) -> Tensor:
        if batch.seconds is None:
            raise ValueError(
                "run_time needs the seconds of each batch; time the method and give EditBatch(seconds=...)"
            )
        return torch.full((len(batch),), batch.seconds / len(batch))
