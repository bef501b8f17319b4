"""What an edit may touch, and what it did."""

import pytest
import torch

from where2edit.editing.certificate import allowed_region, certify


def test_allowed_region_by_hand():
    mask = torch.zeros(1, 1, 4, 4)
    mask[0, 0, 1, 2] = 1e-6
    allowed = allowed_region(mask, 3, 16)[0, 0]
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[1:11, 5:15] = True
    assert torch.equal(allowed, expected)


def test_certificate_counts_what_happened():
    source, edited = torch.zeros(2, 3, 16, 16), torch.zeros(2, 3, 16, 16)
    edited[0, 1, 4, 8], edited[1, 0, 0, 0] = 0.5, -0.25
    mask = torch.zeros(2, 1, 4, 4)
    mask[:, 0, 1, 2] = 1
    inside, leaking = certify(source, edited, mask, 3)
    assert (inside.mask_area, inside.halo, inside.allowed_area) == (1 / 16, 3, 100 / 256)
    assert inside.local and inside.changed == 1 / 256 and inside.leak_mean == 0
    assert not leaking.local and leaking.leak_max == 0.25 and leaking.leak_mean == pytest.approx(0.25 / 156)
    edited[0, 0, 0, 0] = float("nan")
    assert not certify(source, edited, mask, 3)[0].local


def test_certificate_errors_teach():
    images = torch.zeros(1, 3, 64, 64)
    with pytest.raises(ValueError, match="one mask each"):
        certify(images, images, torch.zeros(2, 1, 16, 16), 3)
    with pytest.raises(ValueError, match="does not divide"):
        allowed_region(torch.ones(1, 1, 7, 7), 3, 64)
