"""The parts of a face: what names stand for, and how the parser's skin is divided."""

import pytest
import torch

from where2edit.backbones.face_parsing import CLASSES, GROUPS
from where2edit.editing.face_parts import BANDS, PARTS, divided, part_ids


def labelled(size, rows):
    """Labels [size,size] with whole rows of each class, the later on top."""
    labels = torch.zeros(size, size, dtype=torch.long)
    for name, where in rows.items():
        labels[where] = CLASSES.index(name)
    return labels


def face(without=()):
    """A face of 64 px, wider than its features: skin, hair above, brows, eyes, a nose, lips; rows and columns known."""
    where = {
        "skin": (slice(8, 60), slice(6, 58)),
        "hair": (slice(0, 8), slice(0, 64)),
        "l_brow": (slice(18, 20), slice(36, 46)),
        "r_brow": (slice(18, 20), slice(18, 28)),
        "l_eye": (slice(24, 28), slice(38, 44)),
        "r_eye": (slice(24, 28), slice(20, 26)),
        "nose": (slice(28, 40), slice(29, 35)),
        "u_lip": (slice(46, 49), slice(26, 38)),
    }
    labels = torch.zeros(64, 64, dtype=torch.long)
    for name, (rows, columns) in where.items():
        if name not in without:
            labels[rows, columns] = CLASSES.index(name)
    return labels


def shown(labels, part):
    return divided(labels) == PARTS.index(part)


def names(ids):
    return {PARTS[i] for i in ids}


def test_a_name_stands_for_a_part_or_for_all_that_belong_to_it():
    assert len(PARTS) == 25 and len(set(PARTS)) == 25
    assert names(part_ids("temples")) == {"temples"} and names(part_ids("jaw")) == {"jaw"}
    assert names(part_ids("cheeks")) == {"cheeks", "apples"}
    assert names(part_ids("skin")) == {*BANDS, "temples", "apples"}
    for group, members in GROUPS.items():
        expected = {*members} - {"skin"} | (names(part_ids("skin")) if "skin" in members else set())
        assert names(part_ids(group)) == expected, group
    with pytest.raises(ValueError, match="unknown face region 'templs'"):
        part_ids("templs")


def test_skin_is_divided_by_its_height():
    face = {"skin": slice(None), "hair": slice(2), "l_brow": slice(5, 6), "r_eye": slice(7, 8), "nose": slice(9, 12)}
    bands = divided(labelled(16, face))[:, 0].tolist()
    assert [PARTS[i] for i in bands] == (
        ["hair"] * 2 + ["forehead"] * 3 + ["l_brow", "sockets", "r_eye", "cheeks"] + ["nose"] * 3 + ["jaw"] * 4
    )
    sunglasses = divided(labelled(16, {name: face[name] for name in face if name != "r_eye"}))
    assert not (sunglasses == PARTS.index("sockets")).any(), "no eyes, no sockets"


def test_skin_without_brows_eyes_and_nose_is_all_jaw():
    assert (divided(labelled(16, {"skin": slice(None)})) == PARTS.index("jaw")).all()


def test_what_is_not_skin_keeps_its_class():
    labels = face()
    skin = labels == CLASSES.index("skin")
    parts = divided(labels)
    assert torch.equal(parts[~skin], labels[~skin]) and not torch.isin(parts, torch.tensor([1])).any()
    assert all(shown(labels, part).any() for part in (*BANDS, "temples", "apples"))


def test_temples_are_the_skin_beside_the_eyes():
    labels = face()
    skin = labels == CLASSES.index("skin")
    expected = torch.zeros(64, 64, dtype=torch.bool)
    # From the top of the brows to one height of the eyes below them; 0.15 of the width from eye to eye outside of them.
    outside = 0.15 * (43 - 20)
    columns = torch.arange(64)
    expected[18 : 27 + 3 + 1] = (columns < 20 - outside) | (columns > 43 + outside)
    assert torch.equal(shown(labels, "temples"), expected & skin)
    assert not shown(face(without=("l_eye", "r_eye")), "temples").any(), "without eyes there is nothing to be beside"


def test_apples_lie_on_the_cheeks_to_both_sides_of_the_nose():
    apples = shown(face(), "apples").nonzero().float()
    rows, columns = apples[:, 0], apples[:, 1]
    left, right = (apples[columns < 32], apples[columns > 32])
    assert len(left) > 5 and len(left) == pytest.approx(len(right), abs=4)
    assert columns.mean().item() == pytest.approx(31.5, abs=1)
    assert not ((columns > 28) & (columns < 36)).any(), "none on the nose or before it"
    assert 28 < rows.mean() < 46, "between the eyes and the lips"
    assert not shown(face(without=("nose",)), "apples").any(), "without a nose there is nothing to find them by"
