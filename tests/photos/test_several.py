"""Edits of several faces of one photo: what they may touch together, and that each is where it belongs."""

import numpy as np
import pytest
import torch
from photo_cases import astronaut, disc, photo_of, square
from test_paste import allowed_pixels, changed_crop

from where2edit.photos import several
from where2edit.photos.paste import paste
from where2edit.photos.several import EditedCrop, paste_all

PLACES = {
    "apart": ((square(60.3, 60.2, 70, 8), 128), (square(150, 150.7, 80, -20), 100)),
    "across each other": ((square(90.3, 60, 61, 4), 128), (square(110, 75, 75.3, 30), 64)),
    "one past the rim": ((square(10, 30.3, 60, 5), 256), (square(150, 150, 80, 3), 64)),
}


def portrait():
    return photo_of(astronaut().resize((200, 200)))


def crops(photo, places):
    for here, size in places:
        source, edited = changed_crop(photo, here, size)
        yield EditedCrop(here, source, edited, disc(size, 0.3))


@pytest.mark.parametrize("case", PLACES)
def test_outside_of_all_that_is_allowed_every_pixel_keeps_its_bytes(case):
    photo, places = portrait(), PLACES[case]
    edited, certificate = paste_all(photo, crops(photo, places))
    may = np.logical_or.reduce([allowed_pixels(photo, here, disc(size, 0.3)) for here, size in places])
    changed = (edited.pixels != photo.pixels).any(2)
    assert not changed[~may].any() and certificate.leak == 0
    assert (certificate.allowed, certificate.changed) == (may.sum(), changed.sum())


def test_faces_apart_get_what_each_gets_alone():
    photo, places = portrait(), PLACES["apart"]
    alone = [paste(photo, x.alignment, x.source, x.edited, x.allowed)[0] for x in crops(photo, places)]
    edited, _ = paste_all(photo, crops(photo, places))
    own = [(pixels != photo.pixels).any(2) for pixels in alone]
    assert all(np.array_equal(edited.pixels[where], pixels[where]) for where, pixels in zip(own, alone, strict=True))


def test_what_leaks_from_any_face_is_seen(monkeypatch):
    photo = portrait()

    def leaking(photo, *crop):
        pixels, certificate = paste(photo, *crop)
        pixels[190, 3] += 1
        return pixels, certificate

    monkeypatch.setattr(several, "paste", leaking)
    assert paste_all(photo, crops(photo, PLACES["apart"]))[1].leak == 2


def test_no_face_leaves_the_photo():
    photo = portrait()
    edited, certificate = paste_all(photo, [])
    assert np.array_equal(edited.pixels, photo.pixels)
    assert (certificate.allowed, certificate.changed, certificate.leak) == (0, 0, 0)
    empty = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    here, crop = square(100, 100, 90), torch.rand(1, 3, 64, 64)
    assert paste_all(photo, [EditedCrop(here, crop, -crop, empty)])[1].allowed == 0
