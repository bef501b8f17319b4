"""How well alterations are recognised: generated faces that were recoloured or reshaped against the unaltered ones.

Legend: N faces of s x s pixels, C concepts, D embedding width. Figures are areas under the ROC curve (auc), from 0 to
1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.facetext import alterations
from where2edit.facetext.celeba import ATTRIBUTES
from where2edit.facetext.concept import plain
from where2edit.facetext.measures import auc, embed
from where2edit.facetext.packed import Faces
from where2edit.facetext.phrases import ADDED_HAIR_COLOURS, CONCEPTS, FURTHER, INDEX
from where2edit.text_image.base import TextImage


def recoloured_hair(encoder: TextImage, faces: Faces, seed: int = 5) -> dict[str, dict[str, float]]:
    """AUC of each hair colour that only recolouring gives, by colour, for trained and for held-out phrases.

    Faces in that colour are told from the same faces in the other five colours and unaltered.
    """
    draw = torch.Generator().manual_seed(seed)
    images = faces.images.float() / 255
    enough = alterations.shows_hair(faces.labels)
    images, labels = images[enough], faces.labels[enough]
    columns = {"": F.normalize(embed(encoder.image, (images * 255).byte()), dim=1)}
    for name in ADDED_HAIR_COLOURS:
        truth = torch.full((len(images), len(CONCEPTS)), -1)
        draft = alterations.Draft(images.clone(), labels, truth)
        alterations.alter_hair(draft, torch.arange(len(images)), draw, {name: alterations.HAIR_LAB[name]})
        columns[name] = F.normalize(embed(encoder.image, (draft.images * 255).round().byte()), dim=1)
    everything, table = torch.cat(list(columns.values())), {}
    for name in ADDED_HAIR_COLOURS:
        truth = torch.cat([torch.full((len(images),), int(other == name)) for other in columns])
        table[name] = {}
        for kind, held in (("trained", False), ("held_out", True)):
            prompts = [plain(p) for p in CONCEPTS[INDEX[name]].phrases(True, held)]
            scores = everything @ F.normalize(encoder.text(prompts), dim=1).T
            table[name][kind] = sum(auc(score, truth) for score in scores.T) / len(prompts)
    return table


def altered(encoder: TextImage, faces: Faces, seed: int = 6) -> dict[str, float]:
    """AUC of the other alterations (mouth, cheeks, skin, lips, eyes), altered against unaltered faces, by prompt."""
    draw = torch.Generator().manual_seed(seed)
    before = F.normalize(embed(encoder.image, faces.images), dim=1)
    kinds = {alterations.alter_mouth: {"Sad": "a sad face"}, alterations.alter_cheeks: {"Rosy_Cheeks": "rosy cheeks"},
             alterations.alter_skin: {"Tanned_Skin": "tanned skin", "Pale_Skin": "pale skin"},
             alterations.alter_lips: {"Red_Lips": "red lipstick", "Pink_Lips": "pink lipstick",
                     "Purple_Lips": "purple lipstick"},
             alterations.alter_eyes: {"Blue_Eyes": "blue eyes", "Green_Eyes": "green eyes"}}  # fmt: skip
    table = {}
    for change, prompts in kinds.items():
        truth = torch.full((len(faces), len(CONCEPTS)), -1)
        draft = alterations.Draft(faces.images.float() / 255, faces.labels, truth)
        change(draft, torch.arange(len(faces)), draw)
        after = F.normalize(embed(encoder.image, (draft.images * 255).round().byte()), dim=1)
        for name, prompt in prompts.items():
            h = F.normalize(encoder.text([prompt]), dim=1)[0]
            rows = draft.truth[:, INDEX[name]] == 1
            scores = torch.cat([before @ h, after[rows] @ h])
            table[prompt] = auc(scores, torch.cat([torch.zeros(len(before)), torch.ones(int(rows.sum()))]).long())
    return table


def judge_table(judge: nn.Module, photos: Tensor, values: Tensor, faces: Faces, seed: int = 8) -> dict[str, dict]:
    """AUC of the judge by concept: CelebA's attributes on validation photos, the others on altered generated faces.

    photos: uint8 [N,3,s,s]; values: uint8 [N,40].
    """
    logits, table = embed(judge, photos), {}
    for i, name in enumerate(ATTRIBUTES):
        table[name] = {
            "auc": auc(logits[:, i], values[:, i].long()),
            "positives": int(values[:, i].sum()),
            "on": "photos",
        }
    before, draw = embed(judge, faces.images), torch.Generator().manual_seed(seed)
    for change, _ in alterations.ALTERATIONS:
        truth = torch.full((len(faces), len(CONCEPTS)), -1)
        draft = alterations.Draft(faces.images.float() / 255, faces.labels, truth)
        change(draft, torch.arange(len(faces)), draw)
        after = embed(judge, (draft.images * 255).round().byte())
        for name in FURTHER:
            rows = draft.truth[:, INDEX[name]] == 1
            if rows.any():
                scores = torch.cat([before[:, INDEX[name]], after[rows, INDEX[name]]])
                said = torch.cat([torch.zeros(len(before)), torch.ones(int(rows.sum()))]).long()
                table[name] = {"auc": auc(scores, said), "positives": int(rows.sum()), "on": "painted faces"}
    return table
