"""The guided filter against a regression in every window, and what it is for: smooth areas, edges that stay."""

import pytest
import torch

from where2edit.ops.guided_filter import guided_filter


def by_hand(x, guide, radius, epsilon):
    """He et al. 2010, equations 4 to 8: the ridge regression of every window, then the mean of a and b over windows."""
    height, width = x.shape

    def window(row, column):
        rows = slice(max(row - radius, 0), row + radius + 1)
        return rows, slice(max(column - radius, 0), column + radius + 1)

    a, b = torch.empty(height, width, dtype=x.dtype), torch.empty(height, width, dtype=x.dtype)
    for row in range(height):
        for column in range(width):
            own, light = (each[window(row, column)].flatten() for each in (x, guide))
            centred = light - light.mean()
            # Least squares of own on [light, 1], with epsilon times the number of pixels on the squared slope.
            slope = (centred * own).sum() / (centred.square().sum() + len(own) * epsilon)
            a[row, column], b[row, column] = slope, own.mean() - slope * light.mean()
    found = torch.empty_like(x)
    for row in range(height):
        for column in range(width):
            here = window(row, column)
            found[row, column] = a[here].mean() * guide[row, column] + b[here].mean()
    return found


@pytest.mark.parametrize("radius, epsilon", [(1, 0.01), (3, 0.1), (9, 1e-4)])
def test_it_is_the_regression_of_every_window(radius, epsilon):
    draw = torch.Generator().manual_seed(radius)
    x, guide = torch.rand(2, 2, 1, 11, 14, generator=draw, dtype=torch.float64)
    found = guided_filter(x, guide, radius, epsilon)
    for number in range(2):
        expected = by_hand(x[number, 0], guide[number, 0], radius, epsilon)
        assert torch.allclose(found[number, 0], expected, atol=1e-10)


def test_under_a_flat_guide_it_is_a_mean_of_means():
    x = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = guided_filter(x, torch.full_like(x, 0.3), 2, 0.01)
    inner = x[..., 2:7, 2:7]  # the windows around the pixels that the window around (4, 4) holds
    assert found[0, 0, 4, 4].item() == pytest.approx(
        sum(x[0, 0, r - 2 : r + 3, c - 2 : c + 3].mean().item() for r in range(2, 7) for c in range(2, 7)) / 25
    )
    assert inner.amin() < found[0, 0, 4, 4] < inner.amax()
    constant = guided_filter(torch.full_like(x, 0.7), x, 2, 0.01)
    assert torch.allclose(constant, torch.full_like(x, 0.7))


def test_an_edge_of_the_guide_stays_and_a_flat_guide_blurs_it():
    edge = (torch.arange(32) >= 16).float().expand(1, 1, 32, 32)
    kept, blurred = guided_filter(edge, edge, 6, 1e-4), guided_filter(edge, torch.zeros_like(edge), 6, 1e-4)
    assert torch.allclose(kept, edge, atol=2e-3)
    assert 0.2 < blurred[0, 0, 16, 15] < 0.8


def test_a_blurred_mask_takes_on_the_edge_of_the_guide():
    """A soft ramp that is off the edge by three pixels: after the filter its steepest step stands at the edge."""
    guide = (torch.arange(64) >= 32).float().expand(1, 1, 64, 64)
    ramp = ((torch.arange(64) - 25) / 8).clamp(0, 1).expand(1, 1, 64, 64)
    row = guided_filter(ramp, guide, 8, 1e-3)[0, 0, 32]
    assert row.diff().argmax() == 31 and row.diff()[31] > 0.4 > ramp[0, 0, 32].diff().max()
