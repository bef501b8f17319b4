"""Attributes that an edit may change besides the one asked for: they follow from it, overlap with it, or exclude it.

`judge_unasked` counts changes of all other concepts of the judge as side effects. An attribute is implied where the
words mean it, where the asked one hides or replaces it, or (for age and sex) where CelebA's labellers decided by it. A
correlation alone is no reason: grey hair does not imply age, lipstick does not imply a woman, a hat does not imply a
sex; where an edit changes those, it counts as a side effect.
"""

from __future__ import annotations

EXCLUSIVE_HAIR_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Purple_Hair", "Blue_Hair")
EXCLUSIVE_HAIR_COLOURS += ("Green_Hair", "Red_Hair", "Pink_Hair", "Orange_Hair")  # one excludes the others
HAIR_SHAPES = ("Straight_Hair", "Wavy_Hair")
HAIRLINE = ("Bald", "Bangs", "Receding_Hairline")
FACIAL_HAIR = ("No_Beard", "5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns")
LIP_COLOURS = ("Red_Lips", "Pink_Lips", "Purple_Lips")
EYE_COLOURS = ("Blue_Eyes", "Green_Eyes", "Brown_Eyes")
MAKEUP = ("Heavy_Makeup", "Wearing_Lipstick", "Rosy_Cheeks", *LIP_COLOURS)
SEX = (*MAKEUP, *FACIAL_HAIR, "Arched_Eyebrows", "Bushy_Eyebrows", "Big_Nose", "Attractive")
SEX += ("Wearing_Earrings", "Wearing_Necklace", "Wearing_Necktie")
AGE = ("Bags_Under_Eyes", "Double_Chin", "Receding_Hairline", "Bald", "Attractive")
AGE += ("Gray_Hair", "Black_Hair", "Brown_Hair", "Blond_Hair")  # grey takes the place of the others

# Sets of which each concept implies all: the colours of one hair, the kinds of one beard.
FAMILIES = (
    (EXCLUSIVE_HAIR_COLOURS, EXCLUSIVE_HAIR_COLOURS),
    (FACIAL_HAIR, (*FACIAL_HAIR, "Male")),  # a beard is what tells a man's face
    (LIP_COLOURS, (*LIP_COLOURS, "Wearing_Lipstick", "Heavy_Makeup")),
    (EYE_COLOURS, EYE_COLOURS),
    (HAIR_SHAPES, HAIR_SHAPES),
)

# Concept (in either direction) -> what it implies, besides itself.
IMPLIED: dict[str, tuple[str, ...]] = {
    **{name: implied for names, implied in FAMILIES for name in names},
    "Bangs": ("Receding_Hairline",),  # hidden behind them
    "Bald": (*EXCLUSIVE_HAIR_COLOURS, *HAIR_SHAPES, *HAIRLINE),
    "Smiling": ("Mouth_Slightly_Open", "High_Cheekbones", "Narrow_Eyes", "Sad"),
    "Sad": ("Smiling", "Mouth_Slightly_Open", "High_Cheekbones"),
    "Mouth_Slightly_Open": (),
    "Wearing_Lipstick": (*LIP_COLOURS, "Heavy_Makeup"),
    "Heavy_Makeup": (*MAKEUP, "Attractive"),
    "Rosy_Cheeks": ("Heavy_Makeup", "Pale_Skin"),
    "Bushy_Eyebrows": (),
    "Arched_Eyebrows": (),
    "Eyeglasses": ("Bags_Under_Eyes", "Narrow_Eyes", *EYE_COLOURS),  # hidden behind them
    "Pale_Skin": ("Tanned_Skin", "Rosy_Cheeks"),
    "Tanned_Skin": ("Pale_Skin", "Rosy_Cheeks"),
    "Chubby": ("Double_Chin", "Oval_Face", "High_Cheekbones", "Attractive"),
    "Young": AGE,
    "Male": SEX,
    "Wearing_Hat": (*EXCLUSIVE_HAIR_COLOURS, *HAIR_SHAPES, *HAIRLINE),  # hidden under it
    "Big_Nose": ("Pointy_Nose",),
}


def exempt(concept: str | None) -> frozenset[str]:
    """The concept itself (a leading "-" asks for its absence) and what it implies; nothing without a concept."""
    if concept is None:
        return frozenset()
    name = concept.removeprefix("-")
    return frozenset({name, *IMPLIED.get(name, ())})
