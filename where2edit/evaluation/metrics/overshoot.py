"""Overshoot: edits that have more of what was asked for than almost any face that has it by nature.

Legend: B edits of a batch, N edits so far, M natural examples of what a prompt asks for, D width of an embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.core.sentences import figure
from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.edit_batch import EditBatch
from where2edit.evaluation.metrics.judge import log_odds
from where2edit.evaluation.metrics.natural import AgainstNatural, asked_numbers
from where2edit.evaluation.metrics.success import cosines
from where2edit.evaluation.networks import MetricNetworks

LIMIT = 0.99  # quantile of the natural examples above which an edit overshoots


@METRICS.register("overshoot")
class Overshoot(AgainstNatural):
    """Keeps of each edit what was asked for, its log-odds, the cosine to the prompt, and the prompt's embedding."""

    higher_is_better = False
    needs = ("judge", "train_encoder", "natural_faces")
    protocol = (
        "share of edits whose log-odds of the named attribute (judge) or whose cosine to the prompt (encoder of the "
        "training) lies above the 99th percentile of unedited generated faces that have the attribute"
    )

    def __init__(self, networks: MetricNetworks | None = None):
        self.width = 3 + (networks["train_encoder"].dim if networks and networks.has("train_encoder") else 0)
        super().__init__(networks)

    def measure(self, batch: EditBatch) -> Tensor:
        after = [asked_numbers(batch), log_odds(batch.after, batch.concepts), cosines(batch, "train_encoder")[:, 1]]
        return torch.cat([torch.stack(after, 1), batch.text_of("train_encoder")], 1)

    def scores(self, values: Tensor) -> Tensor:
        return self._above(values).any(1).double()

    def detail(self, values: Tensor) -> str:
        """The shares by the judge and by the encoder alone."""
        judge, cosine = self._above(values).double().mean(0).tolist()
        return f"judge {figure(judge, '.0%')}, cosine {figure(cosine, '.0%')}"

    def _above(self, values: Tensor) -> Tensor:
        """Whether log-odds and cosine lie above those of natural examples: bool [N,2]."""
        prompts, which = torch.cat([values[:, :1], values[:, 3:]], 1).unique(dim=0, return_inverse=True)
        limits = torch.stack([self._limits(float(prompt[0]), prompt[1:]) for prompt in prompts])
        return values[:, 1:3] > limits[which]

    def _limits(self, number: float, text: Tensor) -> Tensor:
        """The quantiles of log-odds and cosine over the natural examples of one prompt: [2]."""
        chosen, asked = self.examples(number), Asked.from_number(number)
        found = [asked.log_odds(self.natural.logits[chosen]), self.natural.embeddings[chosen] @ text.float()]
        return torch.stack(found).double().quantile(LIMIT, 1)
