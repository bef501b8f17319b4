"""Cut the aligned face crop that an identity network was trained on out of an image, differentiably.

Legend: B batch, N points of a face. Images are [B,3,H,W] in [-1,1]; points and boxes are x, y in shares of the image:
(0,0) top left, (1,1) bottom right.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.core.registry import nearest

# Where eyes, nose and mouth corners stand in an FFHQ-aligned image: mean of SCRFD over generated faces, made symmetric.
# Single faces stray from it by 0.005 (eyes) to 0.02 (nose) of the image side.
FFHQ_LANDMARKS = ((0.375, 0.473), (0.625, 0.473), (0.5, 0.621), (0.384, 0.718), (0.616, 0.718))
# The face box of an FFHQ-aligned image: mean of MTCNN over the same faces, made symmetric (SCRFD's differs by 0.01).
FFHQ_BOX = (0.22, 0.169, 0.78, 0.911)
MODES = ("ffhq", "detect", "none")


def check_mode(align: str) -> str:
    """`align`, or ValueError with the nearest allowed one."""
    if align not in MODES:
        raise ValueError(f"align is '{align}'; {nearest(align, MODES)}")
    return align


def similarity(points: Tensor, template: Tensor) -> Tensor:
    """The inverse [B,2,3] of the least-squares scale, rotation and shift from `points` [B,N,2] to `template` [N,2].

    It maps homogeneous template coordinates to image coordinates, which is what `crop` samples with.
    """
    source, target = points.mean(1), template.mean(0)
    p, t = points - source[:, None], template - target
    norm = p.square().sum((1, 2))
    a = (p * t).sum((1, 2)) / norm
    b = (p[..., 0] * t[..., 1] - p[..., 1] * t[..., 0]).sum(1) / norm
    inverse = torch.stack([a, b, -b, a], 1).view(-1, 2, 2) / (a * a + b * b)[:, None, None]
    shift = source - (inverse @ target[:, None])[..., 0]
    return torch.cat([inverse, shift[..., None]], 2)


def box_transform(box: Tensor, margin: float = 1.0) -> Tensor:
    """The map [B,2,3] from the crop to the image for boxes [B,4] (x0, y0, x1, y1), enlarged `margin` times about their
    centre.
    """
    low, high = box[:, :2], box[:, 2:]
    size = (high - low) * margin
    return torch.cat([torch.diag_embed(size), ((low + high - size) / 2)[..., None]], 2)


def crop(images: Tensor, transform: Tensor, size: int, outside: str = "zeros") -> Tensor:
    """The crop [B,3,size,size] of images [B,3,H,W]; differentiable.

    `transform` [B or 1,2,3] maps a point of the crop (x, y in shares of it) to its place in the image. The image is
    first resized (antialiased) so that one crop pixel is about one pixel of it. Outside it is black, or with
    `outside="border"` of the colour of its edge.
    """
    transform = transform.to(images).expand(len(images), -1, -1)
    scale = transform[:, :, :2].square().sum(2).sqrt().mean(0)  # shares of the image that a crop covers along x and y
    width, height = (max(2, round(size / float(share))) for share in scale)
    height, width = min(height, images.shape[2]), min(width, images.shape[3])
    if (height, width) != tuple(images.shape[2:]):
        images = F.interpolate(images, (height, width), mode="bilinear", antialias=True, align_corners=False)
    # affine_grid works in [-1,1]: shares s become 2s - 1 on both sides.
    linear, shift = transform[:, :, :2], transform[:, :, 2]
    theta = torch.cat([linear, (linear.sum(2) + 2 * shift - 1)[..., None]], 2)
    grid = F.affine_grid(theta, [len(images), 3, size, size], align_corners=False)
    return F.grid_sample(images + 1, grid, mode="bilinear", padding_mode=outside, align_corners=False) - 1
