"""Region means: the scatter equals the loop exactly, in values and gradients."""

import pytest
import torch

from where2edit.ops.region_mean import region_averages, region_mean


def case(batch=3, size=16, k=7, seed=0, dtype=torch.float32):
    draw = torch.Generator().manual_seed(seed)
    a = torch.sigmoid(4 * torch.randn(batch, 1, size, size, generator=draw)).to(dtype)
    labels = torch.randint(0, k, (batch, size, size), generator=draw)
    labels[labels == 2] = 3  # region 2 is empty everywhere
    return a, labels, k


@pytest.mark.parametrize("seed", range(5))
def test_scatter_equals_loop_exactly(seed):
    a, labels, k = case(size=64, seed=seed)
    weight = torch.randn(a.shape, generator=torch.Generator().manual_seed(9))
    results = []
    for impl in ("fast", "reference"):
        x = a.clone().requires_grad_()
        painted = region_mean(x, labels, k, impl)
        averages, valid = region_averages(x, labels, k, impl)
        painted_grad = torch.autograd.grad((painted * weight).sum(), x)[0]
        averages_grad = torch.autograd.grad(averages.square().sum(), x)[0]
        results.append((painted, averages, valid, painted_grad, averages_grad))
    for fast, reference in zip(*results, strict=True):
        assert torch.equal(fast, reference)


def test_values_are_what_a_plain_mean_gives():
    a, labels, k = case(dtype=torch.float64)
    painted = region_mean(a, labels, k)
    for sample in range(len(a)):
        for region in labels[sample].unique():
            inside = labels[sample] == region
            mean = a[sample, 0][inside].mean()
            torch.testing.assert_close(painted[sample, 0][inside], mean.expand(int(inside.sum())), rtol=1e-14, atol=0)


def test_samples_do_not_mix():
    a, labels, k = case()
    together = region_mean(a, labels, k)
    for sample in range(len(a)):
        assert torch.equal(together[sample], region_mean(a[sample, None], labels[sample, None], k)[0])


def test_empty_regions_are_left_out():
    a, labels, k = case()
    a.requires_grad_()
    averages, valid = region_averages(a, labels, k)
    assert valid[:, 2].logical_not().all() and valid.sum() == len(a) * (k - 1)
    averages[:, 2].sum().backward()
    assert torch.equal(a.grad, torch.zeros_like(a))


def test_gradcheck():
    a, labels, k = case(batch=2, size=4, k=4, dtype=torch.float64)
    a.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: region_mean(x, labels, k), a)
    assert torch.autograd.gradcheck(lambda x: region_averages(x, labels, k)[0], a)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda a, labels: (a[:, 0], labels, 7), "labels \\[B,H,W\\]"),
        (lambda a, labels: (a, labels[:1], 7), "labels \\[B,H,W\\]"),
        (lambda a, labels: (a, labels.float(), 7), "int64"),
        (lambda a, labels: (a, labels, 6), "allowed: 0..5"),
        (lambda a, labels: (a, labels - 1, 7), "allowed: 0..6"),
        (lambda a, labels: (a, labels, 7, "cuda"), "auto, fast, reference"),
    ],
)
def test_errors_teach(change, message):
    a, labels, _ = case()
    with pytest.raises(ValueError, match=message):
        region_mean(*change(a, labels))
