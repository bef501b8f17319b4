"""The preview heads through which a refinement looks at a face.

Where none was fitted for a site, the generator's own tail on flat areas is one; the RGB skip of StyleGAN2 has small
pictures anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from where2edit.editing import preview_head
from where2edit.editing.blended_walk import has_rgb_skip
from where2edit.editing.preview_head import Preview
from where2edit.files import manifest
from where2edit.generators.base import Generator


@dataclass(frozen=True)
class ViewConfig:
    """Where a refinement looks at a face (`inversion.w_view` and `inversion.canvas_view`)."""

    # After the blend site: of features, or, of StyleGAN2, an RGB site. None: it looks at the whole picture.
    site: str | None = None
    weights: str | None = None  # path of a fitted preview head; None: what the generator itself shows there


@dataclass(frozen=True)
class Views:
    """What a refinement looks through; None: the whole picture."""

    w: Preview | None = None
    canvas: Preview | None = None  # but for the last steps
    blend_site: Preview | None = None  # beside the one for the canvas; None: not looked at


def build_view(config: ViewConfig, generator: Generator) -> Preview | None:
    """The preview of a section, on the generator's device; None for the whole picture.

    Raises ValueError for a site that the generator does not have or show, and for a file that is no head of it.
    """
    if config.site is None:
        return None
    site = generator.site(config.site)
    if config.weights is not None:
        head = preview_head.load(manifest.found(config.weights), generator, site.name)
    elif site.rgb and has_rgb_skip(generator):
        head = preview_head.rgb_skip()
    else:
        head = preview_head.from_generator(generator, site.name).eval().requires_grad_(False)
    return Preview(head.to(generator.w_mean.device), site.name)
