"""A small picture of an edit without the generator's tail: what makes a training step cheap on a CPU.

The head reads the features of one site (128.conv1) and the source's w, and predicts the image that the tail would have
made, area-averaged to the site's resolution. Training may look at it instead of the full image; results never do.

Legend: B batch, C channels of the site, r its resolution. Images are [B,3,r,r] in [-1,1].
"""

from __future__ import annotations

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
    steps: int = 2000
    batch: int = 8
    lr: float = 0.002
    seed: int = 0


class PreviewHead(nn.Module):
    """1x1, 3x3, 3x3 and a read-out, each input scaled by an affine of w as the generator's own convolutions are."""

    def __init__(self, channels: int, hidden: int = 64, w_dim: int = 512):
        super().__init__()
        widths = (channels, hidden, hidden, hidden)
        self.affines = nn.ModuleList(nn.Linear(w_dim, width) for width in widths)
        kernels = (1, 3, 3, 1)
        outputs = (hidden, hidden, hidden, 3)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, k, padding=k // 2) for a, b, k in zip(widths, outputs, kernels, strict=True)
        )
        for affine in self.affines:
            nn.init.normal_(affine.weight, std=0.01)
            nn.init.ones_(affine.bias)

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """features [B,C,r,r] at the site, w [B,512] of the source's later sites -> [B,3,r,r]."""
        x = features
        for i, (affine, conv) in enumerate(zip(self.affines, self.convs, strict=True)):
            x = conv(x * affine(w)[:, :, None, None])
            x = F.leaky_relu(x, 0.2) if i < len(self.convs) - 1 else x
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


def mixed_batch(generator: Generator, batch: int, site: str, random: torch.Generator) -> tuple[Canvas, dict, Tensor]:
    """Canvases at `site` as edits make them: two faces blended by a random rectangle at the blend site.

    Returns the canvas, the styles of the first face (which the tail uses) and its w [B,512].
    """
    device = generator.w_mean.device
    z = torch.randn(2 * batch, generator.z_dim, generator=random).to(device)
    truncation = 0.5 + 0.5 * torch.rand((), generator=random).item()
    first, second = generator.w(z, truncation).chunk(2)
    second = torch.lerp(first, second, torch.rand(batch, 1, 1, generator=random).to(device) * 0.6)
    styles, other = generator.styles(first), generator.styles(second)
    canvas, changed = generator.start(batch), generator.start(batch)
    for s in generator.upto("64.conv1"):
        canvas, changed = generator.step(s, canvas, styles[s.name]), generator.step(s, changed, other[s.name])
    low, high = (torch.rand(2, batch, 2, generator=random) * 64).sort(0).values.long().to(device)
    y, x = torch.meshgrid(*(torch.arange(64, device=device),) * 2, indexing="ij")
    inside = (y >= low[:, :1, None]) & (y < high[:, :1, None]) & (x >= low[:, 1:, None]) & (x < high[:, 1:, None])
    canvas = Canvas(torch.where(inside[:, None], changed.features, canvas.features), canvas.rgb)
    sites = generator.upto(site)
    for s in sites[len(generator.upto("64.conv1")) :]:
        canvas = generator.step(s, canvas, styles[s.name])
    return canvas, styles, first[:, -1]


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of images in [-1,1] (peak 2)."""
    return 10 * torch.log10(4 / F.mse_loss(a, b))


def train(generator: Generator, config: PreviewConfig) -> tuple[PreviewHead, float]:
    """Fit a head to the tail; returns it with its PSNR in dB on 64 canvases of another seed."""
    device = generator.w_mean.device
    torch.manual_seed(config.seed)
    random = torch.Generator().manual_seed(config.seed)
    head = PreviewHead(generator.site(config.site).channels, config.hidden).to(device)
    optimizer = torch.optim.Adam(head.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=config.steps)
    progress = tqdm(range(config.steps), desc="preview head")
    for _ in progress:
        predicted, target = _pair(generator, head, config, random)
        loss = F.mse_loss(predicted, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress.set_postfix(psnr=f"{10 * torch.log10(4 / loss.detach()).item():.1f} dB")
    held_out = torch.Generator().manual_seed(config.seed + 1)
    with torch.no_grad():
        values = [psnr(*_pair(generator, head, config, held_out)) for _ in range(64 // config.batch)]
    return head.eval().requires_grad_(False), torch.stack(values).mean().item()


def _pair(generator: Generator, head: PreviewHead, config: PreviewConfig, random: torch.Generator):
    """What the head predicts and what the tail made, both [B,3,r,r]."""
    with torch.no_grad():
        canvas, styles, w = mixed_batch(generator, config.batch, config.site, random)
        image = generator.tail(canvas, styles, after=config.site).clamp(-1, 1)
        target = F.interpolate(image, size=canvas.features.shape[-2:], mode="area")
    return head(canvas.features, w), target
