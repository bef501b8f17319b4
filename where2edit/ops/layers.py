"""Layers of the StyleGAN2 family that generator, mapper and attention share (Karras et al. 2020)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EqualLinear(nn.Module):
    """A linear layer with equalised learning rate: [...,inputs] -> [...,outputs].

    The weight is drawn from N(0,1)/lr_mul and scaled by lr_mul/sqrt(inputs) at run time, so that every layer learns at
    the same speed. `bias` is the value that all biases start with.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, lr_mul: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mul)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias) / lr_mul))
        self.gain, self.lr_mul = lr_mul / math.sqrt(inputs), lr_mul

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.lr_mul)


def pixel_norm(x: Tensor) -> Tensor:
    """x [...,C] divided by the root of the mean square of its last axis."""
    return x * (x.square().mean(-1, keepdim=True) + 1e-8).rsqrt()


def scaled_leaky_relu(x: Tensor) -> Tensor:
    """sqrt(2) * LeakyReLU_0.2, which keeps the variance of a normal input near 1."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def at_every_cell(layer: nn.Module, x: Tensor) -> Tensor:
    """A linear layer at every cell of x [B,C,h,w], which is a convolution of kernel 1: [B,O,h,w]."""
    return layer(x.movedim(1, 3)).movedim(3, 1)


def text_branch(text_dim: int, outputs: int) -> nn.Sequential:
    """F_i of Eq. 2, [B,text_dim] -> [B,outputs]: two linear layers, each with scaled leaky ReLU.

    The hidden width is the mean of the two ends.
    """
    hidden = (text_dim + outputs) // 2
    return nn.Sequential(EqualLinear(text_dim, hidden), _Activation(), EqualLinear(hidden, outputs), _Activation())


class _Activation(nn.Module):
    """`scaled_leaky_relu` as a module, for nn.Sequential."""

    def forward(self, x: Tensor) -> Tensor:
        return scaled_leaky_relu(x)
