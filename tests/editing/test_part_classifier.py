"""The part classifier: it recovers parts that features tell apart by a linear map, whatever their scale."""

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.editing import part_classifier
from where2edit.editing.face_parts import PARTS
from where2edit.editing.part_classifier import PartClassifier, fit, with_position

SHOWN = ("hair", "nose", "jaw", "l_eye")  # by the cells below; the last is rare
CHANNELS = 8


@pytest.fixture
def separable(monkeypatch):
    """Cells of 12 faces, whose features are a vector for their part, stretched and shifted, with a little noise."""
    draw = torch.Generator().manual_seed(0)
    parts = torch.randint(3, (12, 8, 8), generator=draw)
    parts[:, 0, :2] = 3
    vectors = torch.randn(4, CHANNELS, generator=draw)
    features = vectors[parts] + 0.05 * torch.randn(12, 8, 8, CHANNELS, generator=draw)
    stretch = torch.logspace(-2, 2, CHANNELS)
    features = (features * stretch + 10 * stretch).permute(0, 3, 1, 2)
    ids = torch.tensor([PARTS.index(name) for name in SHOWN])[parts]
    shares = F.one_hot(ids, len(PARTS)).permute(0, 3, 1, 2).float()
    monkeypatch.setattr(part_classifier, "parsed_cells", lambda *a: (features, shares))
    for name, value in {"FACES": range(12), "HELD_OUT": 4, "STEPS": 300, "RATE": 0.03}.items():
        monkeypatch.setattr(part_classifier, name, value)
    return features, ids


def test_parts_that_a_linear_map_tells_apart_are_recovered(separable):
    features, ids = separable
    classifier, agreement = fit(None, "", None)
    assert agreement > 0.99 and (classifier(features) == ids).float().mean() > 0.99
    assert (classifier(features)[:, 0, :2] == PARTS.index("l_eye")).all(), "a rare part counts too"


def test_a_fit_gives_the_same_bytes_whatever_else_was_drawn_before(separable):
    torch.manual_seed(1)
    first = fit(None, "", None)[0]
    torch.manual_seed(2)
    second = fit(None, "", None)[0]
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)


def test_the_position_is_a_feature_like_the_others():
    """A classifier that reads nothing but x and y: one part wins to the left, another below to the right."""
    weight, bias = torch.zeros(len(PARTS), CHANNELS + 2), torch.full((len(PARTS),), -9.0)
    weight[PARTS.index("hair"), -2], bias[PARTS.index("hair")] = -1.0, 0.0
    weight[PARTS.index("jaw"), -1], bias[PARTS.index("jaw")] = 0.5, 0.0
    found = PartClassifier(weight, bias)(torch.randn(2, CHANNELS, 4, 4))
    hair, jaw = PARTS.index("hair"), PARTS.index("jaw")
    assert found.shape == (2, 4, 4) and (found[:, 0, :3] == hair).all() and (found[:, 3, 2:] == jaw).all()
    positions = with_position(torch.zeros(1, 1, 3, 3))[0, 1:]
    assert positions[0].tolist() == [[-1, 0, 1]] * 3 and torch.equal(positions[1], positions[0].T)


class UpperHalf:
    """In place of a face parser: hair in the upper half of the picture, background below."""

    def labels(self, images):
        labels = torch.zeros(len(images), 64, 64, dtype=torch.long)
        labels[:, :32] = PARTS.index("hair")
        return labels


def test_parsed_cells_are_features_with_the_shares_of_their_parts():
    net = toy.generator()
    features, shares = part_classifier.parsed_cells(net, "8.conv1", UpperHalf(), [3, 4])
    with torch.no_grad():
        own = net.source(net.w(net.sample_z([3]), part_classifier.TRUNCATION), upto="8.conv1").features["8.conv1"]
    assert torch.equal(features[:1], own) and shares.shape == (2, 25, 8, 8)
    assert (shares[:, PARTS.index("hair"), :4] == 1).all() and (shares[:, 0, 4:] == 1).all()
