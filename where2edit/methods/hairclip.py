"""hairclip: mappers for hair, modulated by text or picture, one model for all hair (Wei et al. 2022, 2112.05142).

With the codes w of a face and the embedding e of a text or of a reference picture, one mapper each for coarse, medium
and fine codes, of blocks x -> x':

    (H1)  x' = LeakyReLU((1 + gamma(e)) (F x - mu) / sigma + beta(e))     mu, sigma: of the numbers of F x
    (H2)  w* = w + alpha scale (style M_coarse(w, e), style M_medium(w, e), colour M_fine(w, e))

F is fully connected, gamma and beta are networks of two such layers. `style` and `colour` are 1 where the prompt asks
for another style or another colour of hair, else 0: coarse and medium codes hold the one, fine codes the other. The
numbers are ours. Losses (docs/methods.md): `clip_distance`, `hair_background`, `hair_colour`, `identity` and
`style_delta`.

Chosen here, where the source says otherwise or nothing: style and colour come from one prompt, whose words say what is
meant (editing/hair_words.py); with a reference picture they say what is taken from it. A prompt that is not about hair
is refused.

Legend: B edits, D embedding width, L w codes of W numbers, C numbers of a style.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from where2edit.core.bounds import Bounds, Few
from where2edit.core.records import Condition, Source
from where2edit.core.sentences import quoted
from where2edit.editing.hair_words import about_hair, hair_change
from where2edit.editing.latent_mapper import GROUPS, code_group, lengths, shifted_styles
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.methods.whole_picture import WholePicture
from where2edit.ops.layers import EqualLinear, pixel_norm, scaled_leaky_relu


@dataclass(frozen=True)
class HairclipOptions:
    """Options of the method `hairclip`."""

    blocks: Few = 5  # of (H1), in each mapper
    scale: Annotated[float, Bounds(0, 100, above=True)] = 0.1  # of what the mappers add to w


class ModulatedBlock(nn.Module):
    """(H1): x [B,G,W] of the G codes of a group and e [B,D] -> x' [B,G,W]."""

    def __init__(self, width: int, text_dim: int):
        super().__init__()
        self.inner = EqualLinear(width, width)
        self.gamma, self.beta = _modulation(text_dim, width), _modulation(text_dim, width)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        x = nn.functional.layer_norm(self.inner(x), x.shape[-1:])
        return scaled_leaky_relu((1 + self.gamma(e)[:, None]) * x + self.beta(e)[:, None])


class HairMapper(nn.Module):
    """A mapper of (H2): the codes of a group [B,G,W] and e [B,D] -> what is added to them, not yet scaled."""

    START = 0.1  # factor on the initial weights of the last layer, so that edits start small

    def __init__(self, width: int, text_dim: int, blocks: int):
        super().__init__()
        self.blocks = nn.ModuleList(ModulatedBlock(width, text_dim) for _ in range(blocks))
        self.outer = EqualLinear(width, width)
        with torch.no_grad():
            self.outer.weight.mul_(self.START)

    def forward(self, w: Tensor, e: Tensor) -> Tensor:
        x = pixel_norm(w)  # as in StyleCLIP's mapper
        for block in self.blocks:
            x = block(x, e)
        return self.outer(x)


def _modulation(text_dim: int, width: int) -> nn.Sequential:
    """gamma or beta: two fully-connected layers with LayerNorm and leaky ReLU between them."""
    return nn.Sequential(
        EqualLinear(text_dim, width), nn.LayerNorm(width), nn.LeakyReLU(0.2), EqualLinear(width, width)
    )


@METHODS.register("hairclip", options=HairclipOptions)
class Hairclip(WholePicture):
    """One model for every hair prompt and every reference picture of hair."""

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        options, generator = config.resolved(), frozen.generator
        self.scale = options.scale
        group = {generator.w_index(site): code_group(site) for site in generator.sites}
        # Of each mapper the codes that it answers; a small generator has no fine ones.
        self.codes = [[code for code in sorted(group) if group[code] == g] for g in sorted(set(group.values()))]
        sizes = (generator.w_dim, frozen.text_dim, options.blocks)
        self.mappers = nn.ModuleList(HairMapper(*sizes) for _ in self.codes)

    def check(self, condition: Condition) -> None:
        """Raise ValueError for a prompt that is not about hair alone."""
        for prompt in condition.prompts:
            if not about_hair(prompt):
                raise ValueError(
                    f"hairclip edits hair and nothing else, got {quoted(prompt)}; name hair alone, as in 'blond hair', "
                    "'bangs' or 'curly hair', or choose another method"
                )

    def styles(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """The styles {site: [B,C]} of w* (H2), and the length [B,L] of what is added to each code."""
        delta = {}
        for number, (codes, mapper) in enumerate(zip(self.codes, self.mappers, strict=True)):
            asked = [hair_change(prompt)[number == len(GROUPS)] for prompt in condition.prompts]  # style, or colour
            share = condition.strength * self.scale * torch.tensor(asked).to(source.w)[:, None]  # [B,1]
            added = mapper(source.w[:, codes], condition.h)  # [B,G,W]
            delta |= {code: share * added[:, place] for place, code in enumerate(codes)}
        return shifted_styles(self.frozen.generator, source, delta, self.frozen.generator.sites), lengths(delta)
