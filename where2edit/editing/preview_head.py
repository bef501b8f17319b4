"""The preview head: a small picture of an edit without the generator's tail, so that training is cheap on a CPU.

The head is the tail itself, kept at the resolution of one site ("128.conv1"): of each enlargement the low-pass band
remains, each convolution acts as it does on a flat area, as a 1x1 convolution, and the styles are the generator's own.
Against the full image reduced to that size this has a PSNR of 28.7 dB without any training; a short fit, which also
learns to use the dropped bands, brings it above 30 dB. Only training looks at it. Ours, not the paper's.

Legend: B batch, C and O channels read and written by a site, r resolution of the preview site. Images are [B,3,r,r] in
[-1,1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from where2edit.files import tensorfile
from where2edit.generators.base import Canvas, Generator

KIND = "preview"  # of a file of a fitted head


@dataclass(frozen=True)
class PreviewHeadConfig:
    """The `preview_head` section: which site is read, and the recipe of `scripts/train_preview.py`."""

    site: str = "128.conv1"
    weights: str | None = None  # asset name or path; None: training looks at the full image
    canvases: int = 120  # full images behind the fit; the last tenth is held out
    steps: int = 1500
    batch: int = 4
    crop: int = 48  # pixels of the site's resolution
    lr: float = 0.0005
    seed: int = 0


class PreviewHead(nn.Module):
    """1x1 convolutions modulated by the styles of the generator's later sites, in their order.

    `weights` {site: [O,C]}, `biases` {site: [O]}; `details` {site: [O,3C]}, at sites after an enlargement, read the
    three other bands of the enlarged features beside the low-pass band.
    """

    def __init__(self, weights: dict[str, Tensor], biases: dict[str, Tensor], details: dict[str, Tensor]):
        super().__init__()
        self.sites = tuple(weights)
        for kind, tensors in (("weights", weights), ("biases", biases), ("details", details)):
            named = {name.replace(".", "_"): nn.Parameter(value.clone()) for name, value in tensors.items()}
            setattr(self, kind, nn.ParameterDict(named))

    def forward(self, x: Tensor, styles: dict[str, Tensor]) -> Tensor:
        """x [B,C,r,r] at the preview site, styles {site: [B,.]} of the later sites -> image [B,3,r,r]."""
        for name in self.sites:
            key, style = name.replace(".", "_"), styles[name][:, :, None, None]
            weight, bias = self.weights[key][:, :, None, None], self.biases[key]
            if key in self.details:
                # The enlargement splits its input into a low-pass band [B,C,r,r] and three others [B,3C,r,r].
                x = x * styles[f"{name.split('.')[0]}.up"][:, :, None, None]
                low, bands = x.split((weight.shape[1], 3 * weight.shape[1]), 1)
                y = F.conv2d(0.5 * low * style, weight, bias)
                y = y + F.conv2d(bands * style.repeat_interleave(3, 1), self.details[key][:, :, None, None])
            else:
                y = F.conv2d(x * style, weight, bias)
            x = y if name == self.sites[-1] else F.leaky_relu(y, 0.2)
        return x


class Preview(NamedTuple):
    """A preview head and the name of the site that it reads."""

    head: PreviewHead
    site: str


def from_generator(generator: Generator, site: str) -> PreviewHead:
    """The untrained head: the generator's own tail on flat areas. Raises ValueError for a generator without one."""
    if not hasattr(generator, "on_flat_area"):
        raise ValueError(
            f"generator '{generator.name}' has no preview; train on full images (training.use_preview_head=false)"
        )
    later = [s for s in generator.sites[len(generator.upto(site)) :] if s.role != "up"]
    weights, biases = zip(*(generator.on_flat_area(s) for s in later), strict=True)
    names = [s.name for s in later]
    # The first convolution at a resolution reads what an enlargement has just written.
    details = {
        s.name: torch.zeros(len(w), 3 * w.shape[1]) for s, w in zip(later, weights, strict=True) if s.role == "conv0"
    }
    return PreviewHead(dict(zip(names, weights, strict=True)), dict(zip(names, biases, strict=True)), details)


def save(head: PreviewHead, path: str | Path, metadata: dict[str, str]) -> None:
    """Write the head in half precision as safetensors; `metadata` says how it was fitted."""
    tensors = {name: value.half() for name, value in head.state_dict().items()}
    tensorfile.write(path, tensors, KIND, {**metadata, "sites": " ".join(head.sites)})


def load(path: str | Path) -> PreviewHead:
    """The frozen head from our safetensors. Raises ValueError for another file."""
    tensors, metadata = tensorfile.read(path, KIND)
    groups: dict[str, dict[str, Tensor]] = {"weights": {}, "biases": {}, "details": {}}
    for name in metadata["sites"].split():
        for kind, group in groups.items():
            if (key := f"{kind}.{name.replace('.', '_')}") in tensors:
                group[name] = tensors[key].float()
    return PreviewHead(**groups).eval().requires_grad_(False)


@torch.no_grad()
def mixed_canvas(generator: Generator, site: str, random: torch.Generator) -> tuple[Canvas, dict[str, Tensor]]:
    """A canvas [1,C,r,r] at `site` as edits make them: two faces blended by a random rectangle at 64.conv1.

    Also returns the styles of the first face, which the tail uses.
    """
    z = torch.randn(2, generator.z_dim, generator=random).to(generator.w_mean)
    amount, truncation = torch.rand(2, generator=random).tolist()
    first, second = generator.w(z, 0.5 + 0.5 * truncation).chunk(2)
    styles, other = generator.styles(first), generator.styles(torch.lerp(first, second, 0.6 * amount))
    canvas, changed = generator.start(1), generator.start(1)
    trunk = generator.upto("64.conv1")
    for s in trunk:
        canvas, changed = generator.step(s, canvas, styles[s.name]), generator.step(s, changed, other[s.name])
    (top, left), (bottom, right) = torch.randint(65, (2, 2), generator=random).sort(0).values.tolist()
    features = canvas.features.clone()
    features[:, :, top:bottom, left:right] = changed.features[:, :, top:bottom, left:right]
    canvas = canvas.rewrite(trunk[-1], features)
    for s in generator.upto(site)[len(trunk) :]:
        canvas = generator.step(s, canvas, styles[s.name])
    return canvas, styles


@dataclass(frozen=True)
class Canvases:
    """What a head is fitted on: features [N,C,r,r] in bfloat16, styles {site: [N,.]}, targets [N,3,r,r]."""

    features: Tensor
    styles: dict[str, Tensor]
    targets: Tensor

    def crop(self, rows: Tensor, y: int, x: int, size: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        window = (slice(None), slice(None), slice(y, y + size), slice(x, x + size))
        styles = {name: value[rows] for name, value in self.styles.items()}
        return self.features[rows][window].float(), styles, self.targets[rows][window]


@torch.no_grad()
def collect(generator: Generator, config: PreviewHeadConfig) -> Canvases:
    """`config.canvases` mixed canvases with the picture that the tail makes of each."""
    random, features, styles, targets = torch.Generator().manual_seed(config.seed), [], [], []
    for _ in tqdm(range(config.canvases), desc="preview canvases"):
        canvas, own = mixed_canvas(generator, config.site, random)
        image = generator.tail(canvas, own, after=config.site).clamp(-1, 1)
        features.append(canvas.features.bfloat16())
        styles.append(own)
        targets.append(F.interpolate(image, size=canvas.features.shape[-2:], mode="area"))
    joined = {name: torch.cat([own[name] for own in styles]) for name in styles[0]}
    return Canvases(torch.cat(features), joined, torch.cat(targets))


def fit(head: PreviewHead, canvases: Canvases, config: PreviewHeadConfig) -> float:
    """Fit the head on random crops; returns its PSNR in dB on the held-out canvases."""
    train_rows = len(canvases.targets) - max(1, len(canvases.targets) // 10)
    torch.manual_seed(config.seed)
    optimizer = torch.optim.Adam(head.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=config.steps)
    progress = tqdm(range(config.steps), desc="preview head")
    for _ in progress:
        rows = torch.randint(train_rows, (config.batch,))
        y, x = torch.randint(canvases.targets.shape[-1] - config.crop + 1, (2,)).tolist()
        features, styles, targets = canvases.crop(rows, y, x, config.crop)
        loss = F.mse_loss(head(features, styles), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 0.1)
        optimizer.step()
        schedule.step()
        progress.set_postfix(psnr=f"{_decibel(loss.detach()):.1f} dB")
    head.eval().requires_grad_(False)
    return quality(head, canvases, range(train_rows, len(canvases.targets)))


@torch.no_grad()
def quality(head: PreviewHead, canvases: Canvases, rows: range) -> float:
    """PSNR in dB over whole canvases, of images in [-1,1] (peak 2)."""
    errors = []
    for row in rows:
        features, styles, targets = canvases.crop(torch.tensor([row]), 0, 0, canvases.targets.shape[-1])
        errors.append(F.mse_loss(head(features, styles).clamp(-1, 1), targets))
    return _decibel(torch.stack(errors).mean())


def _decibel(mse: Tensor) -> float:
    return 10 * math.log10(4 / mse.item())
