"""Figures of facetext and of the judge on the validation tenth of CelebA and on generated faces kept out of training.

Legend: N pictures, P prompts, D embedding width, A = 40 attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.facetext import alter, phrases
from where2edit.facetext.celeba import ATTRIBUTES
from where2edit.facetext.packed import Faces
from where2edit.facetext.phrases import CONCEPTS, INDEX, Concept
from where2edit.text_image.base import TextImage

FEWEST = 20  # of each class in a group, for a figure of that group to count
FAMILIES = {  # whose figures inside men, women, young and old are shown
    "lipstick": ("Wearing_Lipstick",), "grey hair": ("Gray_Hair",), "makeup": ("Heavy_Makeup",),
    "beard-like": ("No_Beard", "Goatee", "Mustache", "5_o_Clock_Shadow", "Sideburns"),
}  # fmt: skip


def auc(scores: Tensor, truth: Tensor) -> float:
    """Area under the ROC curve of scores [N] against truth [N] (1, 0; -1 is left out), ties counted half; nan if
    one-sided.
    """
    known = truth >= 0
    scores, positive = scores[known].double(), truth[known] == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    _, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    ends = counts.cumsum(0)
    ranks = (ends - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


@torch.no_grad()
def embed(tower: Callable[[Tensor], Tensor], photos: Tensor, batch: int = 50) -> Tensor:
    """Outputs [N,D] for uint8 pictures [N,3,s,s], in batches."""
    return torch.cat([tower(photos[i : i + batch].float() / 127.5 - 1) for i in range(0, len(photos), batch)])


@torch.no_grad()
def mean_auc(towers: nn.Module, bank, photos: Tensor, values: Tensor) -> dict[str, float]:
    """Quick figures during training: mean over the attributes of the AUC of one trained affirmation each, and the
    lowest.
    """
    towers.eval()
    device = next(towers.parameters()).device
    images = embed(lambda x: towers.image_tower(x.to(device)).cpu(), photos)
    rows = torch.stack([bank.by_side[2 * i + 1][0] for i in range(values.shape[1])])
    text = towers.text_head(bank.features[rows].to(device)).cpu()
    return _summary(torch.tensor([auc(images @ t, values[:, i].long()) for i, t in enumerate(text)]))


@torch.no_grad()
def judge_auc(judge: nn.Module, photos: Tensor, values: Tensor) -> dict[str, float]:
    """Quick figures of the judge: mean AUC over the attributes, and the lowest."""
    device = next(judge.parameters()).device
    logits = embed(lambda x: judge.eval()(x.to(device)).cpu(), photos)
    return _summary(torch.tensor([auc(logits[:, i], values[:, i].long()) for i in range(values.shape[1])]))


def _summary(figures: Tensor) -> dict[str, float]:
    return {"auc": float(figures.nanmean()), "lowest": float(figures.nan_to_num(1).min())}


@dataclass
class Evaluation:
    """Validation photos embedded once; prompts are scored against them by cosine."""

    encoder: TextImage
    images: Tensor  # [N,D] unit vectors
    values: Tensor  # uint8 [N,A]

    @classmethod
    def of(cls, encoder: TextImage, photos: Tensor, values: Tensor) -> Evaluation:
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
        prompts = [phrases.plain(p) for p in concept.phrases(side, held_out)]
        if not prompts:
            return float("nan")
        return self._mean_auc(prompts, self.truth(concept.name, side), rows)

    def _mean_auc(self, prompts: list[str], truth: Tensor, rows: Tensor | None = None) -> float:
        rows = torch.ones(len(truth), dtype=torch.bool) if rows is None else rows
        return sum(auc(score[rows], truth[rows]) for score in self.scores(prompts).T) / len(prompts)

    def attributes(self) -> dict[str, dict[str, float]]:
        """Per attribute: AUC of trained and of held-out phrases, and of the held-out denials against the opposite."""
        table = {}
        for concept in CONCEPTS[: len(ATTRIBUTES)]:
            table[concept.name] = {
                "trained": self.phrase_auc(concept, False),
                "held_out": self.phrase_auc(concept, True),
                "fresh": self._mean_auc(phrases.FRESH[concept.name].split("|"), self.truth(concept.name)),
                "denied": self.phrase_auc(concept, True, False),
                "positives": int(self.truth(concept.name).sum()),
            }
        return table

    def opposites(self) -> dict[str, float]:
        """AUC of the difference between a prompt and its denial."""
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
        """What a prompt's score still says of sex and age where the attribute itself is held fixed, by editor prompt.

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
        if name == key:
            return float("nan")
        found = []
        for side in (0, 1):
            rows = self.truth(name) == side
            pair = torch.stack([score[rows], self.truth(key)[rows].to(score.dtype)])
            if rows.sum() >= FEWEST and pair[1].std() > 0:
                found.append(float(torch.corrcoef(pair)[0, 1]))
        return sum(found) / len(found) if found else float("nan")


def recoloured_hair(encoder: TextImage, faces: Faces, seed: int = 5) -> dict[str, dict[str, float]]:
    """AUC of each unnatural hair colour on generated faces: recoloured so, against the other five and the face as it
    was.
    """
    draw = torch.Generator().manual_seed(seed)
    images = faces.images.float() / 255
    enough = (faces.labels == 17).float().mean((1, 2)) > 0.04
    images, labels = images[enough], faces.labels[enough]
    columns = {"": F.normalize(embed(encoder.image, (images * 255).byte()), dim=1)}
    for name in phrases.ADDED_HAIR_COLOURS:
        truth = torch.full((len(images), len(CONCEPTS)), -1)
        draft = alter.Draft(images.clone(), labels, truth)
        alter.alter_hair(draft, torch.arange(len(images)), draw, {name: alter.HAIR_LAB[name]})
        columns[name] = F.normalize(embed(encoder.image, (draft.images * 255).round().byte()), dim=1)
    everything, table = torch.cat(list(columns.values())), {}
    for name in phrases.ADDED_HAIR_COLOURS:
        truth = torch.cat([torch.full((len(images),), int(other == name)) for other in columns])
        table[name] = {}
        for kind, held in (("trained", False), ("held_out", True)):
            prompts = [phrases.plain(p) for p in CONCEPTS[INDEX[name]].phrases(True, held)]
            scores = everything @ F.normalize(encoder.text(prompts), dim=1).T
            table[name][kind] = sum(auc(score, truth) for score in scores.T) / len(prompts)
    return table


def altered(encoder: TextImage, faces: Faces, seed: int = 6) -> dict[str, float]:
    """AUC of the other alterations on generated faces, altered against as they were: sad, tanned, pale, rosy, lip
    colours.
    """
    draw = torch.Generator().manual_seed(seed)
    before = F.normalize(embed(encoder.image, faces.images), dim=1)
    kinds = {alter.alter_mouth: {"Sad": "a sad face"}, alter.alter_cheeks: {"Rosy_Cheeks": "rosy cheeks"},
             alter.alter_skin: {"Tanned_Skin": "tanned skin", "Pale_Skin": "pale skin"},
             alter.alter_lips: {"Red_Lips": "red lipstick", "Pink_Lips": "pink lipstick",
                     "Purple_Lips": "purple lipstick"},
             alter.alter_eyes: {"Blue_Eyes": "blue eyes", "Green_Eyes": "green eyes"}}  # fmt: skip
    table = {}
    for change, prompts in kinds.items():
        truth = torch.full((len(faces), len(CONCEPTS)), -1)
        draft = alter.Draft(faces.images.float() / 255, faces.labels, truth)
        change(draft, torch.arange(len(faces)), draw)
        after = F.normalize(embed(encoder.image, (draft.images * 255).round().byte()), dim=1)
        for name, prompt in prompts.items():
            h = F.normalize(encoder.text([prompt]), dim=1)[0]
            rows = draft.truth[:, INDEX[name]] == 1
            scores = torch.cat([before @ h, after[rows] @ h])
            table[prompt] = auc(scores, torch.cat([torch.zeros(len(before)), torch.ones(int(rows.sum()))]).long())
    return table


def views(images: Tensor, draw: torch.Generator) -> Tensor:
    """What an attack has not seen: a small rotation and shift, and a low-pass to 64 pixels."""
    angle = (torch.rand(len(images), generator=draw) - 0.5) * 0.2
    cos, sin, shift = angle.cos(), angle.sin(), (torch.rand(len(images), generator=draw) - 0.5) * 0.08
    theta = torch.stack([torch.stack([cos, -sin, shift], 1), torch.stack([sin, cos, shift], 1)], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return F.interpolate(turned, (64, 64), mode="bilinear", antialias=True, align_corners=False)


def pixel_attack(evaluation: Evaluation, photos: Tensor, count: int = 32, steps: int = 20, seed: int = 7) -> list[dict]:
    """Optimise pixels of faces that do not smile for "a smile", and set the gain against what a real smile is worth.

    photos: the validation pictures. A gain of 1 is the difference between the mean scores of smiling and unsmiling
    faces. Sizes are in levels of 255. `plain` is what the optimiser sees; `views` are new views of the result.
    """
    encoder, draw = evaluation.encoder, torch.Generator().manual_seed(seed)
    smiling, score = evaluation.truth("Smiling").bool(), evaluation.scores(["a smile"])[:, 0]
    worth = float(score[smiling].mean() - score[~smiling].mean())
    h = F.normalize(encoder.text(["a smile"]), dim=1)[0]
    start = photos[(~smiling).nonzero().flatten()[:count]].float() / 127.5 - 1

    def cosine(x: Tensor) -> Tensor:
        return F.normalize(encoder.image(x), dim=1) @ h

    with torch.no_grad():
        before, before_views = cosine(start).mean(), cosine(views(start, torch.Generator().manual_seed(seed))).mean()
    rows = []
    for levels in (1, 2, 4, 8):
        limit = levels / 127.5
        moved = start.clone()
        for _ in range(steps):
            moved.requires_grad_(True)
            (gradient,) = torch.autograd.grad(cosine(moved).sum(), moved)
            moved = start + (moved.detach() + limit / 5 * gradient.sign() - start).clamp(-limit, limit)
            moved = moved.clamp(-1, 1)
        with torch.no_grad():
            plain, seen = cosine(moved).mean() - before, cosine(views(moved, draw)).mean() - before_views
        rows.append({"levels": levels, "plain": float(plain) / worth, "views": float(seen) / worth})
    return rows


def judge_table(judge: nn.Module, photos: Tensor, values: Tensor, faces: Faces, seed: int = 8) -> dict[str, dict]:
    """AUC of the judge per concept: attributes on validation photos, painted concepts on generated faces."""
    logits, table = embed(judge, photos), {}
    for i, name in enumerate(ATTRIBUTES):
        table[name] = {
            "auc": auc(logits[:, i], values[:, i].long()),
            "positives": int(values[:, i].sum()),
            "on": "photos",
        }
    before, draw = embed(judge, faces.images), torch.Generator().manual_seed(seed)
    for change, _ in alter.ALTERATIONS:
        truth = torch.full((len(faces), len(CONCEPTS)), -1)
        draft = alter.Draft(faces.images.float() / 255, faces.labels, truth)
        change(draft, torch.arange(len(faces)), draw)
        after = embed(judge, (draft.images * 255).round().byte())
        for name in phrases.FURTHER:
            rows = draft.truth[:, INDEX[name]] == 1
            if rows.any():
                scores = torch.cat([before[:, INDEX[name]], after[rows, INDEX[name]]])
                said = torch.cat([torch.zeros(len(before)), torch.ones(int(rows.sum()))]).long()
                table[name] = {"auc": auc(scores, said), "positives": int(rows.sum()), "on": "painted faces"}
    return table
