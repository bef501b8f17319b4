"""The interface of generators: named sites and one step, over which editing code writes its own loop.

Walking all sites one by one equals plain synthesis bit for bit (docs/architecture.md, Contracts).

Legend: B batch, L number of w codes, C channels, h x w resolution of a canvas, R output resolution. Images are
[B,3,R,R] in [-1,1].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from where2edit.core.bounds import Truncation
from where2edit.core.devices import Dtype
from where2edit.core.records import Source
from where2edit.core.registry import nearest
from where2edit.generators.window import Window
from where2edit.ops.cuda_graphs import Graphs, Outputs, Walk

Role = Literal["up", "conv0", "conv1", "rgb"]  # what a site does, see Site
LATENT = 512  # numbers in z, in w and in each w code; the whole StyleGAN2 family has as many
CONSTANT = "constant"  # name of the learned input among the features of a Source


@dataclass(frozen=True)
class GeneratorConfig:
    """The `generator` section. `GENERATORS.get(name)(config, options)` returns a frozen Generator."""

    name: str = "mobilestylegan"
    weights: str | None = None  # asset name or path of safetensors; None: the generator's own default, or random ones
    options: dict[str, Any] = field(default_factory=dict)  # checked against the generator's own options
    blend_site: str = "64.conv1"  # the site where an edit is blended in; the paper's "layer 13"
    truncation: Truncation = 0.7  # psi: 1 leaves w as it is, 0 gives the mean face
    # Of the features after the blend site where nothing is trained; auto: bfloat16 where the device is fast at it.
    dtype: Dtype = "float32"
    cuda_graphs: bool = False  # on a GPU trunk and tail of an edit are recorded once for each size of a batch


@dataclass(frozen=True)
class Site:
    """A named place in the generator where a style acts.

    Roles, in the order of execution at one resolution: `up` enlarges and convolves nothing; `conv0` is the first of two
    convolutions, `conv1` the second (at the lowest resolution the only one); `rgb` writes a picture.
    """

    resolution: int  # of what it writes
    role: Role
    width: int  # numbers in its style = input channels of its convolution
    channels: int  # channels that it writes
    up: int  # factor by which it enlarges the canvas it reads (1 or 2)
    spread: int  # how many pixels, at the resolution it writes, a change reaches past the (enlarged) pixel it reads
    skip_spread: int = 0  # of rgb sites: the same for the enlarged RGB skip to which they add

    @property
    def name(self) -> str:
        """The resolution and the role, such as "64.conv1"."""
        return f"{self.resolution}.{self.role}"

    @property
    def rgb(self) -> bool:
        """Whether it writes the RGB canvas instead of the features."""
        return self.role == "rgb"

    @property
    def convolution(self) -> bool:
        """Whether it writes features with a convolution."""
        return self.role in ("conv0", "conv1")


def w_plus_index(site: Site) -> int:
    """Which of StyleGAN2's 2 log2(R) - 2 codes, its W+, belongs to a site.

    4.conv1 reads code 0; conv0, conv1 and rgb of 2^n read codes 2n-5, 2n-4 and 2n-3: neighbours share one. An `up` site
    does what conv0 of StyleGAN2 begins with.
    """
    first = 2 * int(math.log2(site.resolution)) - 5
    return first + {"up": 0, "conv0": 0, "conv1": 1, "rgb": 2}[site.role]


@dataclass(frozen=True)
class Canvas:
    """What the generator has written so far."""

    features: Tensor  # [B,C,h,w]
    rgb: Tensor | None = None  # cumulative [B,3,h,w]; None before the first RGB site
    window: Window | None = None  # the part of the picture that both show; None: all of it

    def written(self, site: Site) -> Tensor:
        """The tensor that a step at `site` has just written."""
        written = self.rgb if site.rgb else self.features
        assert written is not None, f"{site.name} writes the RGB canvas, which is still missing"
        return written

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Features, and RGB where there is any; `Canvas(*tensors)` is a whole canvas again."""
        return (self.features,) if self.rgb is None else (self.features, self.rgb)

    def rewrite(self, site: Site, value: Tensor) -> Canvas:
        """The canvas with the tensor that `site` wrote replaced (blending touches nothing else)."""
        return replace(self, rgb=value) if site.rgb else replace(self, features=value)

    def crop(self, window: Window) -> Canvas:
        """The part of it in the window, which its own window must hold."""
        rgb = None if self.rgb is None else window.crop(self.rgb, self.window)
        return Canvas(window.crop(self.features, self.window), rgb, window)

    def own(self, x: Tensor) -> Tensor:
        """The part of x [...,r,r], which shows all of the picture, that belongs to this canvas: [...,h,w]."""
        return x if self.window is None else self.window.crop(x)


class Generator(nn.Module, ABC):
    """A frozen generator. Subclasses fill the attributes and the abstract methods; everything else follows.

    Buffers: `w_mean` [512], the centre of truncation.
    """

    name: str
    sites: tuple[Site, ...]  # in the order in which they run
    resolution: int  # R
    num_w: int  # L
    z_dim = w_dim = LATENT
    w_mean: Tensor
    bfloat16_after: str | None = None  # the site after which features are bfloat16; the picture is float32 throughout
    graphs: Graphs | None = None  # None: each kernel of a walk is launched by itself

    @abstractmethod
    def mapping(self, z: Tensor) -> Tensor:
        """z [B,512] -> w [B,512], before truncation."""

    @abstractmethod
    def w_index(self, site: Site) -> int:
        """Which of the L w codes feeds the style of `site`."""

    @abstractmethod
    def affine(self, site: Site, w: Tensor) -> Tensor:
        """The site's own affine: w [B,512] -> style [B,width]."""

    @abstractmethod
    def start(self, batch: int) -> Canvas:
        """The canvas before the first site: the learned constant, repeated."""

    @abstractmethod
    def step(self, site: Site, canvas: Canvas, style: Tensor) -> Canvas:
        """The canvas after one more site, `site`, with style [B,width]."""

    @abstractmethod
    def image(self, canvas: Canvas) -> Tensor:
        """The finished image [B,3,R,R] of a canvas that walked every site."""

    def freeze(self) -> Generator:
        """The generator itself, in evaluation mode and without gradients of its parameters."""
        return self.eval().requires_grad_(False)

    def lay_out(self) -> Generator:
        """The generator itself with its weights, and so all that it writes, channels last."""
        network: Any = self  # torch's annotations lack the memory format
        return network.to(memory_format=torch.channels_last)

    def site(self, name: str) -> Site:
        """The site of that name. Raises ValueError with the nearest one."""
        by_name = {site.name: site for site in self.sites}
        if name not in by_name:
            raise ValueError(f"site '{name}' does not exist in generator '{self.name}'; {nearest(name, by_name)}")
        return by_name[name]

    def dtype(self, site: Site) -> torch.dtype:
        """The number type in which `site` computes and writes features; where autocast is on it is autocast's."""
        if torch.is_autocast_enabled(kind := self.w_mean.device.type):
            return torch.get_autocast_dtype(kind)
        late = self.bfloat16_after is not None and site in self.after(self.bfloat16_after)
        return torch.bfloat16 if late else self.w_mean.dtype

    def settings(self) -> tuple[Hashable, ...]:
        """What decides how it computes besides its weights and torch's own switches; add what is a generator's own."""
        return (self.bfloat16_after,)

    def replayed(self, name: tuple[Hashable, ...], walk: Walk, inputs: Sequence[Tensor]) -> Outputs:
        """`walk(*inputs)`, a walk over sites, by a CUDA graph where it keeps any; `name` tells it from other walks."""
        if self.graphs is None:
            return walk(*inputs)
        # `parameters()` and `buffers()` take ten times as long, a good part of a walk's replay.
        own = [tensors for module in self.modules() for tensors in (module._parameters, module._buffers)]
        weights = [x for tensors in own for x in tensors.values() if x is not None]
        return self.graphs.replayed((*name, *self.settings()), walk, inputs, weights)

    def upto(self, name: str) -> tuple[Site, ...]:
        """The sites from the first to `name`, both included."""
        return self.sites[: self.sites.index(self.site(name)) + 1]

    def after(self, name: str) -> tuple[Site, ...]:
        """The sites that follow `name`."""
        return self.sites[len(self.upto(name)) :]

    def sample_z(self, seeds: list[int] | range) -> Tensor:
        """One z [B,512] ~ N(0,1) per seed; a seed gives the same z on every device and in every batch."""
        draw = [torch.randn(self.z_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(draw).to(self.w_mean)

    def w(self, z: Tensor, truncation: float = 0.7) -> Tensor:
        """z [B,512] -> w [B,L,512], pulled towards the mean (1 leaves w as it is, 0 gives the mean face)."""
        w = self.w_mean + truncation * (self.mapping(z) - self.w_mean)
        return w[:, None].expand(-1, self.num_w, -1)

    def from_w_plus(self, w: Tensor) -> Tensor:
        """W+ of StyleGAN2 [B,2 log2(R) - 2,512] -> w [B,L,512]: each site gets the code of its resolution and role.

        One code [B,512] goes to every site; w of this generator passes through.
        """
        if w.ndim == 2:
            return w[:, None].expand(-1, self.num_w, -1)
        if not self.has_w_plus(w):
            return w
        codes = {self.w_index(site): w[:, w_plus_index(site)] for site in self.sites}
        return torch.stack([codes[i] for i in range(self.num_w)], dim=1)

    def has_w_plus(self, w: Tensor) -> bool:
        """Whether w [B,.,512] is W+ of StyleGAN2 at this resolution, and this generator has another number of codes."""
        return w.ndim == 3 and w.shape[1] == 2 * int(math.log2(self.resolution)) - 2 != self.num_w

    def check_w(self, w: Tensor) -> None:
        """Raise ValueError unless w is [B,L,512]."""
        if w.ndim != 3 or w.shape[1] != self.num_w or w.shape[2] != self.w_dim:
            raise ValueError(f"w must be [B,{self.num_w},{self.w_dim}] for '{self.name}', got {list(w.shape)}")

    def styles(self, w: Tensor) -> dict[str, Tensor]:
        """w [B,L,512] -> styles {site: [B,width]} of every site (StyleSpace). Raises ValueError for another shape."""
        self.check_w(w)
        return {site.name: self.affine(site, w[:, self.w_index(site)]) for site in self.sites}

    def source(
        self, w: Tensor, upto: str | None = None, keep: str | None = None, residual: dict[str, Tensor] | None = None
    ) -> Source:
        """w [B,L,512] -> the Source: walk all sites, or those up to `upto`, and keep everything that was written.

        With `upto` the source has no image. With `keep` it holds what was written up to that site: of the large
        canvases at the end only the image. residual {site: [B,C,h,w]}: added to the features that are written there,
        as the inversion of a photo asks. Raises ValueError for another shape of w and an unknown site.
        """
        residual = residual or {}
        styles = self.styles(w)
        canvas = self.start(len(w))
        features: dict[str, Tensor] = {CONSTANT: canvas.features}
        rgb: dict[str, Tensor] = {}
        kept = self.sites if keep is None else self.upto(keep)
        for site in self.sites if upto is None else self.upto(upto):
            canvas = self.step(site, canvas, styles[site.name])
            if site.name in residual:
                canvas = canvas.rewrite(site, canvas.features + residual[site.name])
            if site in kept:
                (rgb if site.rgb else features)[site.name] = canvas.written(site)
        image = self.image(canvas) if upto is None else None
        return Source(w=w, styles=styles, features=features, rgb=rgb, image=image, residual=residual)

    def synthesis(self, styles: dict[str, Tensor]) -> Tensor:
        """Styles {site: [B,width]} of every site -> image [B,3,R,R]; nothing on the way is kept."""
        canvas = self.start(len(next(iter(styles.values()))))
        for site in self.sites:
            canvas = self.step(site, canvas, styles[site.name])
        return self.image(canvas)

    def tail(self, canvas: Canvas, styles: dict[str, Tensor], after: str) -> Tensor:
        """The image from a canvas that stands just after site `after`, with the remaining styles."""
        for site in self.after(after):
            canvas = self.step(site, canvas, styles[site.name])
        return self.image(canvas)

    def halo(self, after: str, features: int = 0, upto: str | None = None) -> int:
        """Output pixels that a change of the canvas at `after` can reach past the changed cells.

        Follows every later site: features f -> f*up + spread, the RGB skip likewise with its own filter. `features`:
        pixels by which the features at `after` have changed past the cells already. With `upto` pixels of the canvas
        after that site, features and RGB.
        """
        rgb = 0
        for site in self.after(after) if upto is None else self.upto(upto)[len(self.upto(after)) :]:
            if site.rgb:
                rgb = max(rgb * self._skip_up(site) + site.skip_spread, features * site.up + site.spread)
            else:
                features = features * site.up + site.spread
        return rgb if upto is None else max(rgb, features)

    def _skip_up(self, site: Site) -> int:
        """How much the RGB skip is enlarged before `site` adds to it: 2, or 1 where there was none before."""
        earlier = [s for s in self.sites[: self.sites.index(site)] if s.rgb]
        return site.resolution // earlier[-1].resolution if earlier else 1
