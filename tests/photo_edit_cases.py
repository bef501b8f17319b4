"""What tests of edited photos share: photos whose faces are where we say, and an inverter that takes no time."""

import numpy as np
import torch
from photo_cases import ASTRONAUT, smooth

from where2edit.files.pictures import to_picture
from where2edit.inversion.base import Inverted
from where2edit.photo_editing import faces as edited_faces
from where2edit.photo_editing import run, sources
from where2edit.photos import faces
from where2edit.photos.alignment import Alignment
from where2edit.photos.finding import PhotoFace
from where2edit.photos.resampling import resample


def face(x, y, size, number=1):
    """An upright face of `size` pixels whose box has its middle at (x, y)."""
    points = (ASTRONAUT - ASTRONAUT.mean(0)) * size / 116 + [x, y]
    return PhotoFace(number, points, np.array([x, y, x, y]) + size / 2 * np.array([-1, -1, 1, 1]), 0.9)


def picture(width=240, height=170, seed=0):
    return smooth(width, height, seed)


def pan(image, here, count, size, right=0.4, down=0.15):
    """Photos (H, W) of a face [1,3,R,R] that moves by a fraction of a pixel each time, and where its square is then."""
    for n in range(count):
        moved = Alignment((here.centre[0] + n * right, here.centre[1] + n * down), here.half)
        yield to_picture(resample(image, moved.to_crop(image.shape[-1]), size).clamp(-1, 1)), moved


def flicker(before, after):
    """Mean change from frame to frame where an edit is, over that of the photos themselves: uint8 [H,W,3] each."""
    changes = []
    for frames in zip(before, before[1:], after, after[1:], strict=False):
        first, second, edited, following = (x.astype(float) for x in frames)
        where = (first != edited).any(2) & (second != following).any(2)
        changes.append([np.abs(following - edited)[where].mean(), np.abs(second - first)[where].mean()])
    edited, own = np.mean(changes, 0)
    return edited / own


class Detector:
    """In place of the face detector: faces by the number of the look, the last ones from then on."""

    def __init__(self, *looks):
        self.looks, self.calls = looks, 0

    def __call__(self, photo):
        self.calls += 1
        return self.looks[min(self.calls, len(self.looks)) - 1]


class QuickInverter:
    """In place of the inverter: codes and a residual that follow from the face alone. `calls`: how each was asked."""

    calls: list = []

    def __init__(self, config, generator, blend_site, *more):
        self.generator, self.site = generator, generator.site(blend_site)

    def invert(self, face, quality="good", start=None, state=None, progress=True):
        self.calls.append((quality, start, state))
        draw = torch.Generator().manual_seed(int(face.mean() * 1e6) % 2**31)
        net, site = self.generator, self.site
        w = net.w_mean + 0.5 * torch.randn(1, net.num_w, net.w_dim, generator=draw)
        residual = 0.1 * torch.randn(1, site.channels, site.resolution, site.resolution, generator=draw)
        return Inverted(w, residual)


def quick(monkeypatch, *looks):
    """Make the faces of photos known and inversion quick; returns the detector and the inverter's calls."""
    detector = Detector(*(looks or [(face(100, 80, 70),)]))
    monkeypatch.setattr(edited_faces, "find_faces", detector)
    monkeypatch.setattr(faces, "look_closer", lambda photo, face: face)
    monkeypatch.setattr(sources, "Inverter", QuickInverter)
    monkeypatch.setattr(run, "CELL", 32)
    monkeypatch.setattr(QuickInverter, "calls", calls := [])
    return detector, calls
