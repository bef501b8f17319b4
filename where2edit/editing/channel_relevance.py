"""How much each channel of StyleSpace moves the embedding of a picture: the channel relevance of StyleCLIP.

With the style s of a generated face, the standard deviation sigma_c of its channel c over generated faces, and the unit
embedding e of its picture, the row of channel c is the mean over N faces of

    [e(s + a sigma_c) - e(s - a sigma_c)] / 2a          (Patashnik et al. 2021, 2103.17249, Section 6; a = 5, N = 100)

or, for a = 0, its limit sigma_c de/ds_c. The limit is ours: it takes one backward pass for each number of an embedding
in place of two pictures for each channel, some twenty times less, and so minutes on a CPU. Styles of RGB are left out,
as in the paper, and so are those of enlargements, which convolve nothing.

Legend: n faces, L w codes, W numbers of w, C numbers of the style of a site, K channels of all sites, D embedding
width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.core.bounds import Bounds, Few, Seed, Truncation
from where2edit.editing.preview_head import Preview
from where2edit.files.fingerprints import network_sha256
from where2edit.files.kept import kept
from where2edit.generators.base import Canvas, Generator, Site
from where2edit.text_image.base import TextImage

KIND = "relevance"  # of what is kept of it in the cache
SPREAD_SAMPLES = 2000  # faces whose styles the standard deviations are those of
AT_ONCE = 4  # channels that are moved in one batch


@dataclass(frozen=True)
class RelevanceConfig:
    """How the relevance of channels is measured."""

    faces: Few = 8  # N
    moved: Annotated[float, Bounds(0, 100, note="0 takes the limit")] = 0.0  # a, in standard deviations
    truncation: Truncation = 0.7  # of the faces
    seed: Seed = 0  # of the faces


def channel_sites(generator: Generator, upto: int | None = None) -> tuple[Site, ...]:
    """The sites whose styles are moved: convolutions, up to a resolution of `upto` px or all."""
    return tuple(s for s in generator.sites if s.convolution and (upto is None or s.resolution <= upto))


@torch.no_grad()
def style_spread(generator: Generator, sites: Sequence[Site], seed: int = 0) -> dict[str, Tensor]:
    """The standard deviation {site: [C]} of every channel over faces that are not truncated."""
    z = torch.randn(SPREAD_SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    w = generator.mapping(z.to(generator.w_mean))
    return {site.name: generator.affine(site, w).std(0) for site in sites}


def channel_relevance(
    generator: Generator, encoder: TextImage, preview: Preview | None, sites: Sequence[Site], config: RelevanceConfig
) -> Tensor:
    """The relevance [K,D] of the channels of `sites`, one after the other; from the second time on from the cache.

    Faces are seen by the preview head, or whole without one.
    """
    head = ["full images"] if preview is None else [preview.site, network_sha256(preview.head)]
    names = [site.name for site in sites]
    made_from = [network_sha256(generator), network_sha256(encoder), encoder.name, head, names, vars(config)]
    shapes = {"relevance": (sum(site.width for site in sites), encoder.dim)}
    made = kept(KIND, made_from, shapes, lambda: {"relevance": measured(generator, encoder, preview, sites, config)})
    return made["relevance"].to(generator.w_mean)


def measured(
    generator: Generator, encoder: TextImage, preview: Preview | None, sites: Sequence[Site], config: RelevanceConfig
) -> Tensor:
    """The relevance [K,D], measured anew."""
    look = Look(generator, encoder, preview)
    spread = style_spread(generator, sites)
    z = torch.randn(config.faces, generator.z_dim, generator=torch.Generator().manual_seed(config.seed))
    w = generator.w(z.to(generator.w_mean), config.truncation)
    if config.moved:
        return look.differences(w, sites, spread, config.moved)
    passes = tqdm(total=config.faces * encoder.dim, desc="channel relevance, once for all prompts", unit="pass")
    with passes:
        return sum(look.slopes(w[n : n + 1], sites, spread, passes) for n in range(len(w))) / len(w)


@dataclass(frozen=True)
class Look:
    """Pictures of faces whose styles are moved, as the encoder sees them."""

    generator: Generator
    encoder: TextImage
    preview: Preview | None

    @property
    def walked(self) -> tuple[Site, ...]:
        """The sites that are walked for a picture; a preview head knows the styles of those after it by itself."""
        return self.generator.sites if self.preview is None else self.generator.upto(self.preview.site)

    def embedded(self, styles: dict[str, Tensor], canvas: Canvas, rest: Sequence[Site]) -> Tensor:
        """Unit embeddings [n,D] of the faces that `styles` draw from a canvas on, by the sites `rest`."""
        for site in rest:
            canvas = self.generator.step(site, canvas, styles[site.name])
        if self.preview is None:
            image = self.generator.image(canvas)
        else:
            image = self.preview.head(canvas.written(self.generator.site(self.preview.site)), styles)
        return F.normalize(self.encoder.image(image).float(), dim=1)

    def slopes(self, w: Tensor, sites: Sequence[Site], spread: dict[str, Tensor], passes: tqdm) -> Tensor:
        """sigma_c de/ds_c [K,D] of one face w [1,L,W]."""
        styles = {name: style.detach() for name, style in self.generator.styles(w).items()}
        leaves = {site.name: styles[site.name].clone().requires_grad_(True) for site in sites}
        with torch.enable_grad():
            e = self.embedded(styles | leaves, self.generator.start(1), self.walked)[0].unbind()
        columns = []
        for each in e:
            found = torch.autograd.grad(
                each, list(leaves.values()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            columns.append(torch.cat([x[0] for x in found]))
            passes.update()
        return torch.stack(columns, 1) * torch.cat([spread[site.name] for site in sites])[:, None]

    @torch.no_grad()
    def differences(self, w: Tensor, sites: Sequence[Site], spread: dict[str, Tensor], moved: float) -> Tensor:
        """Mean of [e(s + a sigma_c) - e(s - a sigma_c)] / 2a over faces w [n,L,W]: [K,D]."""
        styles, found = self.generator.styles(w), []
        with tqdm(total=sum(site.width for site in sites), desc="channel relevance", unit="channel") as bar:
            for site, canvas, rest in self._before(styles, sites):
                for channels in torch.arange(site.width, device=w.device).split(AT_ONCE):
                    step = F.one_hot(channels, site.width) * (moved * spread[site.name])  # [k,C]
                    step = step.repeat_interleave(len(w), 0)
                    tiled = Canvas(*(x.repeat(len(channels), 1, 1, 1) for x in canvas.tensors))
                    own = {name: style.repeat(len(channels), 1) for name, style in styles.items()}
                    up, down = (
                        self.embedded(own | {site.name: own[site.name] + sign * step}, tiled, rest) for sign in (1, -1)
                    )
                    found.append(((up - down) / (2 * moved)).unflatten(0, (len(channels), -1)).mean(1))
                    bar.update(len(channels))
        return torch.cat(found)

    def _before(
        self, styles: dict[str, Tensor], sites: Sequence[Site]
    ) -> Iterator[tuple[Site, Canvas, tuple[Site, ...]]]:
        """Each of the sites with the canvas before it, and the sites that are still to be walked from there."""
        canvas, walked = self.generator.start(len(next(iter(styles.values())))), self.walked
        for number, site in enumerate(walked):
            if site in sites:
                yield site, canvas, walked[number:]
            canvas = self.generator.step(site, canvas, styles[site.name])
        for site in sites:
            if site not in walked:
                yield site, canvas, ()
