"""How well an encoder orders CelebA's validation photos by prompts: attributes, denials, groups, correlations.

Legend: N photos of s x s pixels, P prompts, D embedding width, A = 40 attributes. Figures are areas under the ROC curve
(auc), from 0 to 1, or correlations and cosines, from -1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.facetext import phrases
from where2edit.facetext.celeba import ATTRIBUTES
from where2edit.facetext.concept import Concept, plain
from where2edit.facetext.fresh_phrases import FRESH
from where2edit.facetext.measures import auc, embed
from where2edit.facetext.phrases import CONCEPTS, INDEX
from where2edit.text_image.base import TextImage

FEWEST = 20  # of each class in a group, for a figure of that group to count
FAMILIES = {  # whose figures inside men, women, young and old are shown
    "lipstick": ("Wearing_Lipstick",), "grey hair": ("Gray_Hair",), "makeup": ("Heavy_Makeup",),
    "beard-like": ("No_Beard", "Goatee", "Mustache", "5_o_Clock_Shadow", "Sideburns"),
}  # fmt: skip


@dataclass
class ValidationPhotos:
    """Validation photos, embedded once; a prompt scores each of them by cosine."""

    encoder: TextImage
    images: Tensor  # [N,D] unit vectors
    values: Tensor  # uint8 [N,A]

    @classmethod
    def of(cls, encoder: TextImage, photos: Tensor, values: Tensor) -> ValidationPhotos:
        """Embed uint8 validation photos [N,3,s,s]."""
        return cls(encoder, F.normalize(embed(encoder.image, photos), dim=1), values)

    def scores(self, prompts: list[str]) -> Tensor:
        """Cosines [N,P]."""
        return self.images @ F.normalize(self.encoder.text(prompts), dim=1).T

    def truth(self, name: str, side: bool = True) -> Tensor:
        """int64 [N]: whether the attribute holds, or does not."""
        value = self.values[:, ATTRIBUTES.index(name)].long()
        return value if side else 1 - value

    def phrase_auc(self, concept: Concept, held_out: bool, side: bool = True, rows: Tensor | None = None) -> float:
        """Mean over single phrases of their AUC, for the phrases of one side of a CelebA attribute."""
        prompts = [plain(p) for p in concept.phrases(side, held_out)]
        if not prompts:
            return float("nan")
        return self._mean_auc(prompts, self.truth(concept.name, side), rows)

    def _mean_auc(self, prompts: list[str], truth: Tensor, rows: Tensor | None = None) -> float:
        """Mean over prompts of the AUC against truth [N], among the photos `rows` (bool [N]; None: all)."""
        rows = torch.ones(len(truth), dtype=torch.bool) if rows is None else rows
        return sum(auc(score[rows], truth[rows]) for score in self.scores(prompts).T) / len(prompts)

    def attributes(self) -> dict[str, dict[str, float]]:
        """Per attribute: AUC of trained, held-out and fresh phrases, and of held-out denials against the opposite."""
        table = {}
        for concept in CONCEPTS[: len(ATTRIBUTES)]:
            table[concept.name] = {
                "trained": self.phrase_auc(concept, False),
                "held_out": self.phrase_auc(concept, True),
                "fresh": self._mean_auc(FRESH[concept.name].split("|"), self.truth(concept.name)),
                "denied": self.phrase_auc(concept, True, False),
                "positives": int(self.truth(concept.name).sum()),
            }
        return table

    def opposites(self) -> dict[str, float]:
        """AUC of the difference between the scores of a prompt and of its denial, by pair."""
        pairs = {"a beard / no beard": ("a beard", "no beard", "No_Beard", False)}
        for name, words in (("Eyeglasses", "glasses"), ("Wearing_Hat", "hat"), ("Smiling", "smile"), ("Bangs", "bangs"),
                            ("Wearing_Lipstick", "lipstick")):  # fmt: skip
            yes = words if words in ("glasses", "bangs", "lipstick") else f"a {words}"
            pairs[f"{yes} / no {words}"] = (yes, f"no {words}", name, True)
        found = {}
        for title, (yes, no, name, side) in pairs.items():
            score = self.scores([yes, no])
            found[title] = auc(score[:, 0] - score[:, 1], self.truth(name, side))
        return found

    def groups(self) -> dict[str, Tensor]:
        """bool [N] for men, women, young and old."""
        male, young = self.truth("Male").bool(), self.truth("Young").bool()
        return {"men": male, "women": ~male, "young": young, "old": ~young}

    def within_groups(self) -> list[dict]:
        """AUC inside one sex or age wherever both classes have FEWEST pictures, trained phrases."""
        rows = []
        for family, names in FAMILIES.items():
            for name in names:
                side = name != "No_Beard"
                for group, members in self.groups().items():
                    truth = self.truth(name, side)[members]
                    ones, zeros = int(truth.sum()), int((1 - truth).sum())
                    if min(ones, zeros) >= FEWEST:
                        value = self.phrase_auc(CONCEPTS[INDEX[name]], False, side, members)
                        rows.append(
                            {"family": family, "attribute": name, "group": group, "auc": value, "n": ones, "m": zeros}
                        )
        return rows

    def correlations(self) -> dict[str, dict[str, float]]:
        """How much each editor prompt's score depends on sex and age where the attribute itself is held fixed.

        The correlation of score with Male (and Young) inside pictures with and without the attribute, averaged; nan
        where CelebA has no such attribute. The cosine is between the prompt and "a man" minus "a woman" ("young" minus
        "old").
        """
        axes = self.encoder.text(["a man", "a woman", "young", "old"])
        axes = F.normalize(torch.stack([axes[0] - axes[1], axes[2] - axes[3]]), dim=1)
        table = {}
        for prompt, (name, _) in phrases.EDITOR_PROMPTS.items():
            score, cosine = self.scores([prompt])[:, 0], axes @ F.normalize(self.encoder.text([prompt]), dim=1)[0]
            row = {"cos_male": float(cosine[0]), "cos_young": float(cosine[1])}
            known = name in ATTRIBUTES
            row |= {
                f"corr_{key.lower()}": self._inside(score, name, key) if known else float("nan")
                for key in ("Male", "Young")
            }
            table[prompt] = row
        return table

    def _inside(self, score: Tensor, name: str, key: str) -> float:
        """Correlation of a score with attribute `key` among photos with `name` and among those without, averaged."""
        if name == key:
            return float("nan")
        found = []
        for side in (0, 1):
            rows = self.truth(name) == side
            pair = torch.stack([score[rows], self.truth(key)[rows].to(score.dtype)])
            if rows.sum() >= FEWEST and pair[1].std() > 0:
                found.append(float(torch.corrcoef(pair)[0, 1]))
        return sum(found) / len(found) if found else float("nan")
