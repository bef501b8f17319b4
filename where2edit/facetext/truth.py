"""What is known of a face: for every concept 1 (true), 0 (not true) or -1 (unknown).

Legend: B or N faces, C concepts (facetext/phrases.py), 40 CelebA attributes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from where2edit.facetext.celeba import ATTRIBUTES
from where2edit.facetext.phrases import ADDED_HAIR_COLOURS, CONCEPTS, INDEX
from where2edit.training.recolouring import LIPS_LAB

NATURAL_TOO = ("Red_Hair", "Orange_Hair")  # of the hair colours that recolouring gives, those that people also have


def celeba_truth(values: Tensor) -> Tensor:
    """Attribute values uint8 [N,40] -> truth int64 [N,C]: 1, 0 or -1 for unknown.

    What the alterations add is known of a photo only where an attribute excludes it.
    """
    truth = torch.full((len(values), len(CONCEPTS)), -1)
    truth[:, : len(ATTRIBUTES)] = values.long()
    column = {name: values[:, i].bool() for i, name in enumerate(ATTRIBUTES)}
    natural = column["Black_Hair"] | column["Blond_Hair"] | column["Gray_Hair"]
    for name in ADDED_HAIR_COLOURS:
        truth[natural if name in NATURAL_TOO else slice(None), INDEX[name]] = 0
    for name in LIPS_LAB:
        truth[~column["Wearing_Lipstick"], INDEX[name]] = 0
    truth[column["Pale_Skin"], INDEX["Tanned_Skin"]] = 0
    truth[column["Smiling"], INDEX["Sad"]] = 0
    return truth


def generated_truth(count: int) -> Tensor:
    """Truth of unaltered generated faces: nothing is known but that no hair is purple, blue, green or pink."""
    truth = torch.full((count, len(CONCEPTS)), -1)
    for name in ADDED_HAIR_COLOURS:
        if name not in NATURAL_TOO:
            truth[:, INDEX[name]] = 0
    return truth


def neutral_is_not_sad(truth: Tensor, draw: torch.Generator) -> Tensor:
    """Count a third of the faces that neither smile nor were made sad as not sad; changes and returns truth [B,C].

    Without them "sad" would be learnt as "not smiling".
    """
    chance = (torch.rand(len(truth), generator=draw) < 1 / 3).to(truth.device)
    rows = chance & (truth[:, INDEX["Smiling"]] == 0) & (truth[:, INDEX["Sad"]] == -1)
    truth[rows, INDEX["Sad"]] = 0
    return truth
