"""The residual of a photo in its edits: what the photo's canvas has beyond its latents, kept where the edit is slight.

An edit knows the face that the latents draw, not the photo. Added whole, the residual keeps the photo's own texture and
identity, but shines through what the edit draws anew, such as glasses or a fringe; left out, the edit is clean, and the
face in it that of the latents. Per cell of the canvas, the share k of the residual r that stays is therefore

    k = FAVOUR |r|^2 / (FAVOUR |r|^2 + |e - s|^2),

where s is what the latents write without an edit, e what they write with it, and squares are means over channels. Ours.

Legend: B batch, C channels, h x w resolution of the canvas. Masks are [B,1,h,w] in [0,1].
"""

from __future__ import annotations

import torch
from torch import Tensor

FAVOUR = 2.0  # of the residual over the edit: at 1 both are equal where both are as large


def kept_share(edited: Tensor, plain: Tensor, residual: Tensor) -> Tensor:
    """The share k [B,1,h,w] of the residual that stays; edited, plain and residual are [B,C,h,w]."""
    own = FAVOUR * residual.square().mean(1, keepdim=True)
    change = (edited - plain).square().mean(1, keepdim=True)
    return own / (own + change).clamp_min(torch.finfo(own.dtype).tiny)


def remaining(residual: Tensor, share: Tensor, mask: Tensor) -> Tensor:
    """The residual [B,C,h,w] of the blended canvas: all of it outside the mask, the share k of it inside."""
    return torch.lerp(residual, share * residual, mask)
