"""A linear classifier of the part of a face that each cell of the blend site shows.

Regions of k-means may hold several parts: eyes and brows, temples and hair. The features of a generator tell them apart
by a linear map (as DatasetGAN found, Zhang et al. 2021), so that each region can be divided by part without a parser at
run time. The classifier is fitted once to a face parser's labels of a few generated faces. Ours, not the paper's.

Legend: B faces, C channels of the site, r its resolution; 25 parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from where2edit.backbones.face_parsing import FaceParser
from where2edit.editing.face_parts import PARTS, divided
from where2edit.generators.base import Generator

FACES = range(3000, 3096)  # seeds of the faces that are parsed; none takes part in the fit of the regions
HELD_OUT = 16  # of them, the last ones, on which the accuracy is measured
TRUNCATION = 0.8  # wide enough for glasses, hats and beards to turn up
STEPS, BATCH, RATE = 600, 6, 0.003  # of Adam
RARE = 0.5  # a part weighs its share of all cells to the power of -RARE: eyes and brows are few cells


class PartClassifier(nn.Module):
    """weight [25,C+2] and bias [25] of features with their position; both are buffers."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """features [B,C,r,r] -> the likeliest part of each cell, int64 [B,r,r], columns of PARTS."""
        return F.conv2d(with_position(features), self.weight[:, :, None, None], self.bias).argmax(1)


def with_position(features: Tensor) -> Tensor:
    """features [B,C,r,r] -> [B,C+2,r,r]: with x and y from -1 to 1."""
    line = torch.linspace(-1, 1, features.shape[-1]).to(features)
    x = line.expand(len(features), 1, len(line), len(line))
    return torch.cat([features, x, x.transpose(2, 3)], dim=1)


@torch.no_grad()
def parsed_cells(generator: Generator, site: str, parser: FaceParser, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Features [N,C,r,r] of the faces of N seeds at a site, and the share of each part in each cell [N,25,r,r]."""
    features, shares = [], []
    for seed in tqdm(seeds, desc="parsed faces", leave=False):
        source = generator.source(generator.w(generator.sample_z([seed]), TRUNCATION), upto=site)
        parts = divided(parser.labels(generator.synthesis(source.styles))[0])
        parts = F.one_hot(parts, len(PARTS)).permute(2, 0, 1)[None].float()  # [1,25,s,s]
        features.append(source.features[site])
        shares.append(F.adaptive_avg_pool2d(parts, features[-1].shape[-1]))
    return torch.cat(features), torch.cat(shares)


def fit(generator: Generator, site: str, parser: FaceParser) -> tuple[PartClassifier, float]:
    """The classifier fitted to parsed faces, and the share of cells of held-out faces that it labels as the parser."""
    features, shares = parsed_cells(generator, site, parser, FACES)
    mean, std = features.mean((0, 2, 3)), features.std((0, 2, 3)).clamp_min(1e-6)
    x = with_position((features - mean[:, None, None]) / std[:, None, None])
    train = slice(0, len(FACES) - HELD_OUT)
    frequency = shares[train].mean((0, 2, 3)).clamp_min(1e-5)
    weights = (shares * frequency[:, None, None].pow(-RARE)).sum(1)  # [N,r,r]
    linear = nn.Conv2d(x.shape[1], len(PARTS), 1).to(x.device)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    optimizer = torch.optim.Adam(linear.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    draw = torch.Generator().manual_seed(0)
    for _ in tqdm(range(STEPS), desc="part classifier", leave=False):
        rows = torch.randint(train.stop, (BATCH,), generator=draw).to(x.device)
        entropy = -(shares[rows] * linear(x[rows]).log_softmax(1)).sum(1)
        loss = (entropy * weights[rows]).sum() / weights[rows].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    # The normalisation of the features is folded into the weights.
    weight, bias = linear.weight.detach()[:, :, 0, 0], linear.bias.detach()
    weight, position = weight[:, : len(mean)] / std, weight[:, len(mean) :]
    classifier = PartClassifier(torch.cat([weight, position], 1), bias - weight @ mean)
    agreement = classifier(features[train.stop :]) == shares[train.stop :].argmax(1)
    return classifier, float(agreement.float().mean())
