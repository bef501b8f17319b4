"""A small picture of an edit without the generator's tail: what makes a training step cheap on a CPU.

The head reads the features of one site (128.conv1) and the style of the site after it, and predicts the image that the
tail would have made, area-averaged to the site's resolution. Training may look at it; results never do.

Legend: B batch, C channels of the site = width of the next site's style, r its resolution. Images are [B,3,r,r] in [-1,1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn
from tqdm import tqdm

from where2edit.generators.base import Canvas, Generator


@dataclass(frozen=True)
class PreviewConfig:
    """The `preview` section: which site is read, and the recipe of `scripts/train_preview.py`."""

    site: str = "128.conv1"
    weights: str | None = None  # asset name or path; None: training looks at the full image
    hidden: int = 64
    canvases: int = 320  # full images behind the training set; the last tenth is held out
    steps: int = 3000
    batch: int = 8
    crop: int = 64  # pixels of the site's resolution
    lr: float = 0.003
    seed: int = 0


class PreviewHead(nn.Module):
    """The next site's own modulation, then 1x1, 3x3, 3x3 and a read-out, each modulated by an affine of that style."""

    def __init__(self, channels: int, hidden: int = 64):
        super().__init__()
        self.affines = nn.ModuleList(nn.Linear(channels, hidden) for _ in range(3))
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(channels, hidden, 1),
                nn.Conv2d(hidden, hidden, 3, padding=1),
                nn.Conv2d(hidden, hidden, 3, padding=1),
                nn.Conv2d(hidden, 3, 1),
            ]
        )
        for affine in self.affines:
            nn.init.normal_(affine.weight, std=0.01)
            nn.init.ones_(affine.bias)
        self.register_buffer("scale", torch.ones(()))  # mean magnitude of the style, so that it enters as about 1

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """features [B,C,r,r] at the site, style [B,C] of the site after it -> [B,3,r,r]."""
        style = style / self.scale
        x = F.leaky_relu(self.convs[0](features * style[:, :, None, None]), 0.2)
        for i, affine in enumerate(self.affines):
            x = self.convs[i + 1](x * affine(style)[:, :, None, None])
            x = F.leaky_relu(x, 0.2) if i < 2 else x
        return x


def load(path: str | Path) -> PreviewHead:
    """The frozen head from our safetensors; sizes stand in its metadata. Raises ValueError for another file."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if "preview_channels" not in metadata:
            raise ValueError(f"{path} is not a preview head (no preview_channels in its metadata)")
        head = PreviewHead(int(metadata["preview_channels"]), int(metadata["preview_hidden"]))
        head.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})  # noqa: SIM118
    return head.eval().requires_grad_(False)


def next_site(generator: Generator, site: str) -> str:
    """The site that reads what `site` wrote: the next one that writes features."""
    after = generator.sites[len(generator.upto(site)) :]
    return next(s.name for s in after if not s.rgb)


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


def collect(generator: Generator, config: PreviewConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Features [N,C,r,r] (bfloat16), styles [N,C] and targets [N,3,r,r] of `canvases` mixed canvases."""
    random, rows = torch.Generator().manual_seed(config.seed), []
    for _ in tqdm(range(config.canvases), desc="preview canvases"):
        canvas, styles = mixed_canvas(generator, config.site, random)
        with torch.no_grad():
            image = generator.tail(canvas, styles, after=config.site).clamp(-1, 1)
        target = F.interpolate(image, size=canvas.features.shape[-2:], mode="area")
        rows.append((canvas.features.bfloat16(), styles[next_site(generator, config.site)], target))
    return tuple(torch.cat(column) for column in zip(*rows, strict=True))


def train(generator: Generator, config: PreviewConfig) -> tuple[PreviewHead, float]:
    """Fit a head to the tail on random crops; returns it with its PSNR in dB (peak 2) on the held-out canvases."""
    features, styles, targets = collect(generator, config)
    held_out = max(1, config.canvases // 10)
    torch.manual_seed(config.seed)
    head = PreviewHead(features.shape[1], config.hidden).to(features.device)
    head.scale.copy_(styles.abs().mean())
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=config.steps)
    progress = tqdm(range(config.steps), desc="preview head")
    for _ in progress:
        rows = torch.randint(len(features) - held_out, (config.batch,))
        y, x = torch.randint(features.shape[-1] - config.crop + 1, (2,)).tolist()
        window = (slice(None), slice(None), slice(y, y + config.crop), slice(x, x + config.crop))
        loss = F.mse_loss(head(features[rows][window].float(), styles[rows]), targets[rows][window])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress.set_postfix(psnr=f"{_decibel(loss.detach()):.1f} dB")
    head.eval().requires_grad_(False)
    held = range(len(features) - held_out, len(features))
    errors = [F.mse_loss(head(features[[i]].float(), styles[[i]]), targets[[i]]) for i in held]
    return head, _decibel(torch.stack(errors).mean())


def _decibel(mse: Tensor) -> float:
    """Peak signal-to-noise ratio of images in [-1,1], whose peak is 2."""
    return 10 * math.log10(4 / mse.item())
