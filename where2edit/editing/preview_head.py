"""The preview head: a small picture of an edit without the generator's tail, so that training is cheap on a CPU.

The head is the tail at the resolution of one site, the preview site: of each enlargement only the low-pass band is
kept, each convolution is replaced by the 1x1 convolution that it is on a flat area, and the styles are the generator's
own. At "128.conv1" its PSNR against the full image reduced to that size is 28.7 dB without any training; a short fit,
which also learns to use the other bands, brings it above 30 dB (training/preview_fit.py). Training and natural strength
use it. Ours, not the paper's.

Legend: B batch, n sources, L w codes of W numbers, C and O channels read and written by a site, r resolution of the
preview site, R output resolution. Images are [B,3,r,r] in [-1,1].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.records import Source
from where2edit.files import tensorfile
from where2edit.files.tensor_checks import fitted
from where2edit.generators.base import Generator

KIND = "preview"  # of the file of a fitted head


@dataclass(frozen=True)
class PreviewHeadConfig:
    """The `preview_head` section: the head that training uses; the section `preview_fit` is the recipe of a new one."""

    # Where it reads the features. A site that writes RGB, such as 256.rgb of StyleGAN2, needs no weights.
    site: str = "128.conv1"
    weights: str | None = None  # asset name or path; None, at a site of features: training uses the full image


class PreviewHead(nn.Module):
    """1x1 convolutions modulated by the styles of the generator's later sites, in their order.

    `weights` {site: [O,C]} and `biases` {site: [O]}. At sites after an enlargement, `details` {site: [O,3C]} read the
    three bands of the enlarged features beside the low-pass one.
    """

    def __init__(self, weights: dict[str, Tensor], biases: dict[str, Tensor], details: dict[str, Tensor]):
        super().__init__()
        self.sites = tuple(weights)
        for kind, tensors in (("weights", weights), ("biases", biases), ("details", details)):
            named = {name.replace(".", "_"): nn.Parameter(value.clone()) for name, value in tensors.items()}
            setattr(self, kind, nn.ParameterDict(named))

    def forward(self, x: Tensor, styles: dict[str, Tensor]) -> Tensor:
        """x [B,C,r,r] at the preview site, styles {site: [B,.]} of the later sites -> image [B,3,r,r]."""
        shape, x = x.shape, x.permute(0, 2, 3, 1).flatten(1, 2)  # [B,r*r,C]
        for name in self.sites:
            x = torch.baddbmm(self.biases[name.replace(".", "_")][None, None], x, self._styled(name, styles))
            x = x if name == self.sites[-1] else F.leaky_relu_(x, 0.2)
        return x.transpose(1, 2).unflatten(2, shape[2:])

    def _styled(self, name: str, styles: dict[str, Tensor]) -> Tensor:
        """The weight of a site with the style of each sample in it: [B,C,O], or [B,4C,O] after an enlargement."""
        key, style = name.replace(".", "_"), styles[name]
        weight = self.weights[key]
        if key in self.details:
            # The enlargement splits its input into a low-pass band of C channels and three others, [C,3].
            weight = torch.cat([0.5 * weight, self.details[key]], 1)
            style = torch.cat([style, style.repeat_interleave(3, 1)], 1) * styles[f"{name.split('.')[0]}.up"]
        return style[:, :, None] * weight.T


class Preview(NamedTuple):
    """A preview head and the name of the site that it reads."""

    head: PreviewHead
    site: str

    def written(self, source: Source) -> Tensor:
        """What a source that was walked that far wrote at the site: features [B,C,r,r] or RGB [B,3,r,r]."""
        return source.rgb[self.site] if self.site in source.rgb else source.features[self.site]


def source_seen(
    generator: Generator,
    w: Tensor,
    preview: Preview | None,
    keep: str | None = None,
    residual: dict[str, Tensor] | None = None,
) -> Source:
    """Latents w [n,L,W] -> their Source, whose image is the preview head's [n,3,r,r]; None: the whole [n,3,R,R].

    keep: of a whole one as in `Generator.source`, as is residual.
    """
    if preview is None:
        return generator.source(w, keep=keep, residual=residual)
    source = generator.source(w, upto=preview.site, residual=residual)
    return source.with_(image=preview.head(preview.written(source), source.styles))


def rgb_skip() -> PreviewHead:
    """The head of a site that writes RGB, whose small picture is there already: the sum of all RGB up to that site."""
    return PreviewHead({}, {}, {})


def from_generator(generator: Generator, site: str) -> PreviewHead:
    """The untrained head of the preview site `site`: the generator's own tail on flat areas.

    Raises ValueError for a generator that has no `on_flat_area`.
    """
    if not hasattr(generator, "on_flat_area"):
        raise ValueError(
            f"generator '{generator.name}' has no preview; train on full images (training.use_preview_head=false)"
        )
    later = [s for s in generator.after(site) if s.role != "up"]
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


def load(path: str | Path, generator: Generator | None = None, site: str = "") -> PreviewHead:
    """The frozen head from our safetensors, which must fit that generator's tail after `site`; None: any.

    Raises ValueError for another file.
    """
    tensors, metadata = tensorfile.read(path, KIND, "fit a preview head with scripts/train_preview.py")
    sites = tensorfile.entry(metadata, "sites", path).split()
    if generator is None:
        kinds = {f"{kind}.{name.replace('.', '_')}" for name in sites for kind in ("weights", "biases", "details")}
        needed = {name for name in kinds if name in tensors or not name.startswith("details.")}
        expected = {name: tensors.get(name, torch.empty(0)).float() for name in needed}
    else:
        head = from_generator(generator, site)
        sites, expected = list(head.sites), head.state_dict()
    what = "preview heads" if generator is None else f"the tail of '{generator.name}' after '{site}'"
    tensors = fitted(tensors, expected, path, what, "fit one with scripts/train_preview.py")
    groups: dict[str, dict[str, Tensor]] = {"weights": {}, "biases": {}, "details": {}}
    for name in sites:
        for kind, group in groups.items():
            if (key := f"{kind}.{name.replace('.', '_')}") in tensors:
                group[name] = tensors[key]
    return PreviewHead(**groups).eval().requires_grad_(False)
