"""The concepts that facetext and the judge are trained on, by number and by name, and the prompts of the editor.

The forty CelebA attributes come first and keep their names; their order is that of the columns of truth.
"""

from __future__ import annotations

from where2edit.facetext.celeba_phrases import CELEBA_CONCEPTS
from where2edit.facetext.concept import Concept
from where2edit.facetext.painted_phrases import PAINTED_CONCEPTS

CONCEPTS: tuple[Concept, ...] = CELEBA_CONCEPTS + PAINTED_CONCEPTS
NAMES = tuple(concept.name for concept in CONCEPTS)
INDEX = {name: i for i, name in enumerate(NAMES)}
FURTHER = NAMES[len(CELEBA_CONCEPTS) :]  # concepts that CelebA lacks
# The hair colours that only recolouring gives: CelebA has no attribute for them.
ADDED_HAIR_COLOURS = ("Purple_Hair", "Blue_Hair", "Green_Hair", "Red_Hair", "Pink_Hair", "Orange_Hair")
# The prompts that editors are measured with, and the side of the concept that each asks for.
EDITOR_PROMPTS: dict[str, tuple[str, bool]] = {
    "blond hair": ("Blond_Hair", True), "black hair": ("Black_Hair", True), "grey hair": ("Gray_Hair", True),
    "purple hair": ("Purple_Hair", True), "blue hair": ("Blue_Hair", True), "bangs": ("Bangs", True),
    "bald": ("Bald", True), "curly hair": ("Wavy_Hair", True), "straight hair": ("Straight_Hair", True),
    "a big smile": ("Smiling", True), "a sad face": ("Sad", True), "an open mouth": ("Mouth_Slightly_Open", True),
    "lipstick": ("Wearing_Lipstick", True), "heavy makeup": ("Heavy_Makeup", True), "rosy cheeks": ("Rosy_Cheeks",
    True),
    "bushy eyebrows": ("Bushy_Eyebrows", True), "arched eyebrows": ("Arched_Eyebrows", True),
    "eyeglasses": ("Eyeglasses", True), "a beard": ("No_Beard", False), "a mustache": ("Mustache", True),
    "a goatee": ("Goatee", True), "pale skin": ("Pale_Skin", True), "tanned skin": ("Tanned_Skin", True),
    "chubby": ("Chubby", True), "young": ("Young", True), "old": ("Young", False), "a man": ("Male", True),
    "a woman": ("Male", False), "a hat": ("Wearing_Hat", True),
}  # fmt: skip
