"""From attention to mask: threshold, blur, resize, growth."""

import numpy as np
import pytest
import torch

from where2edit.editing.masks import BlendingConfig, blur_mask, grow, make_mask, resize_mask, threshold_mask


def square(batch, size=16, low=6, high=9):
    mask = torch.zeros(batch, 1, size, size)
    mask[..., low:high, low:high] = 1
    return mask


def test_threshold_keeps_values_and_passes_the_gradient():
    a = torch.tensor([0.0, 0.5, 0.79, 0.8, 0.93, 1.0]).view(1, 1, 2, 3).requires_grad_()
    mask = threshold_mask(a, BlendingConfig())
    assert torch.equal(mask, torch.where(a >= 0.8, a, 0))
    assert torch.equal(torch.autograd.grad(mask.sum(), a)[0], torch.ones_like(a))
    hard = threshold_mask(a, BlendingConfig(straight_through=False))
    assert torch.equal(hard, mask) and torch.equal(torch.autograd.grad(hard.sum(), a)[0], (a >= 0.8).float())


def test_binary_threshold_is_exactly_zero_or_one():
    a = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for threshold in (0.1, 0.45, 0.8):
        mask = threshold_mask(a, BlendingConfig(threshold=threshold, binary=True))
        assert torch.equal(mask, (a >= threshold).float())
        assert torch.equal(torch.autograd.grad(mask.sum(), a)[0], torch.ones_like(a))


def test_blur_equals_torchvision_and_keeps_the_ends_exact():
    from torchvision.transforms.functional import gaussian_blur

    config = BlendingConfig()
    mask = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(blur_mask(mask, config), gaussian_blur(mask, [5, 5], [1.1, 1.1]), rtol=0, atol=1e-6)
    for value in (0.0, 1.0):
        flat = torch.full((1, 1, 16, 16), value)
        assert torch.equal(blur_mask(flat, config), flat)
    assert torch.equal(blur_mask(mask, BlendingConfig(blur=1)), mask)
    point = square(1, 16, 8, 9)
    assert (blur_mask(point, config) > 0).sum() == 25  # two cells each way, no further


def test_make_mask_gradcheck():
    config = BlendingConfig(threshold=0.0, blur=3)
    a = torch.rand(1, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: make_mask(x, config), a)


def test_resize_is_nearest():
    mask = torch.rand(1, 1, 8, 8)
    assert resize_mask(mask, 8) is mask
    assert torch.equal(resize_mask(mask, 16), mask.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(resize_mask(mask, 4), mask[..., ::2, ::2])


@pytest.mark.parametrize(
    "values, message",
    [
        ({"threshold": 1.5}, "allowed: 0 to 1"),
        ({"threshold": float("nan")}, "allowed: 0 to 1"),
        ({"blur": 4}, "odd"),
        ({"blur": 0}, "odd"),
        ({"sigma": 0.0}, "allowed: above 0"),
    ],
)
def test_config_errors_teach(values, message):
    with pytest.raises(ValueError, match=message):
        BlendingConfig(**values)


def test_a_blur_that_is_too_wide_is_refused():
    with pytest.raises(ValueError, match="too wide"):
        blur_mask(torch.ones(1, 1, 2, 2), BlendingConfig())


def test_a_threshold_of_a_condition_takes_the_place_of_the_configs():
    a = torch.tensor([0.2, 0.5, 0.9]).view(1, 1, 1, 3)
    config = BlendingConfig(blur=1)
    assert torch.equal(make_mask(a, config, 0.5), torch.where(a >= 0.5, a, 0))
    assert torch.equal(make_mask(a, config), torch.where(a >= 0.8, a, 0))
    with pytest.raises(ValueError, match="threshold is 1.5; allowed: 0 to 1"):
        make_mask(a, config, 1.5)


def test_grow_equals_scipy():
    from scipy.ndimage import binary_dilation

    active = torch.rand(2, 1, 40, 50, generator=torch.Generator().manual_seed(0)) > 0.98
    grown = grow(active.float(), 4)
    for i in range(2):
        expected = binary_dilation(active[i, 0].numpy(), np.ones((9, 9)))
        assert np.array_equal(grown[i, 0].numpy() > 0, expected)
