"""What tests of edited photos share: photos whose faces are where we say, and an inverter that takes no time."""

import numpy as np
import torch
from photo_cases import ASTRONAUT, smooth

from where2edit.editor import photo_faces, photo_run, photo_sources
from where2edit.inversion.base import Inverted
from where2edit.photos import faces
from where2edit.photos.finding import PhotoFace


def face(x, y, size, number=1):
    """An upright face of `size` pixels whose box has its middle at (x, y)."""
    points = (ASTRONAUT - ASTRONAUT.mean(0)) * size / 116 + [x, y]
    return PhotoFace(number, points, np.array([x, y, x, y]) + size / 2 * np.array([-1, -1, 1, 1]), 0.9)


def picture(width=240, height=170, seed=0):
    return smooth(width, height, seed)


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
    monkeypatch.setattr(photo_faces, "find_faces", detector)
    monkeypatch.setattr(faces, "look_closer", lambda photo, face: face)
    monkeypatch.setattr(photo_sources, "Inverter", QuickInverter)
    monkeypatch.setattr(photo_run, "CELL", 32)
    monkeypatch.setattr(QuickInverter, "calls", calls := [])
    return detector, calls
