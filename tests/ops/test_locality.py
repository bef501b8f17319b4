"""Trials that find out whether a convolution is local: the library's on a CPU is, others are refused."""

import warnings
from contextlib import contextmanager

import pytest
import torch

from where2edit.ops import locality
from where2edit.ops.convolution import library, unfolded
from where2edit.ops.locality import found_local, is_local


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(locality, "_known", {})


@contextmanager
def one_thread():
    """A matrix product of several threads may cut sums where the size of the picture says; `unfolded` is for GPUs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def drawn(batch=2, channels=8, size=24, layout=torch.contiguous_format):
    x, weight = torch.randn(batch, channels, size, size), torch.randn(6, channels, 3, 3)
    return tuple(each.contiguous(memory_format=layout) for each in (x, weight))


def fourier(x, weight, up):
    """A convolution in which every output shares the rounding of all inputs."""
    size = [n + 2 for n in x.shape[2:]]
    product = torch.einsum("bihw,oihw->bohw", torch.fft.rfft2(x, size), torch.fft.rfft2(weight.flip(2, 3), size))
    return torch.fft.irfft2(product, size)[..., 1:-1, 1:-1]


def of_the_batch(x, weight, up):
    """A convolution that rounds otherwise for a batch of more than one."""
    return library(x, weight, up) * (1 + 1e-6 * (len(x) > 1))


def too_wide(x, weight, up):
    """A convolution that reads one pixel more than it should."""
    return library(x, weight, up) + 1e-3 * library(x, weight, up).roll(1, 3)


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_direct_convolution_is_local(up, layout, batch):
    with one_thread():
        assert is_local(unfolded, *drawn(batch, layout=layout), up)
    assert is_local(library, *drawn(1, layout=layout), up)


@pytest.mark.parametrize("convolve", [fourier, of_the_batch, too_wide])
def test_one_that_shares_rounding_or_reads_more_is_not(convolve):
    x, weight = drawn()
    assert torch.allclose(convolve(x, weight, 1), library(x, weight, 1), atol=0.1), "it is a convolution"
    assert not is_local(convolve, x, weight, 1)


def test_a_trial_is_made_once_for_each_way_of_computing():
    calls = []

    def counted(x, weight, up):
        calls.append(len(x))
        return fourier(x, weight, up)

    x, weight = drawn()
    with pytest.warns(UserWarning, match=r"float32 \[2, 8, 24, 24\] with weights \[6, 8, 3, 3\] is not local"):
        assert not found_local(counted, x, weight, 1)
    made = len(calls)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not found_local(counted, torch.zeros_like(x), weight, 1) and len(calls) == made
    with one_thread():
        assert found_local(unfolded, *drawn(1), 1) and found_local(unfolded, x, weight, 2), "other shapes, other trials"
    other = torch.backends.cudnn.flags(enabled=True, allow_tf32=not torch.backends.cudnn.allow_tf32)
    with one_thread(), other:
        assert found_local(unfolded, x, weight, 1), "another way of computing is another trial"
