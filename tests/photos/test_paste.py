"""An edit in a photo: what may change, what changes, and that every other pixel keeps its bytes."""

import numpy as np
import pytest
import torch
from photo_cases import astronaut, disc, photo_of, smooth, square
from picture_files import ADOBE
from PIL import Image

from where2edit.photos import paste as module
from where2edit.photos.alignment import crop
from where2edit.photos.paste import allowed_in_photo, certify, feather, paste

# Side of the square in the photo, pixels of the crop, turn: smaller than the crop, as large, larger, past the rim.
PLACES = {
    "small": (square(220, 120, 90, 8), 512),
    "as large": (square(220, 120, 200, -20), 200),
    "large": (square(256, 256, 480, 31), 128),
    "on its side": (square(220, 120, 150, 90), 256),
    "past the rim": (square(40, 60, 220, 5), 256),
}


def allowed_pixels(photo, here, allowed):
    """Pixel by pixel: does its centre lie in an allowed pixel of the crop?"""
    size = allowed.shape[-1]
    (a, b, c), (d, e, f) = here.to_crop(size)
    found = np.zeros(photo.pixels.shape[:2], bool)
    for row in range(photo.size[1]):
        for column in range(photo.size[0]):
            u, v = a * (column + 0.5) + b * (row + 0.5) + c, d * (column + 0.5) + e * (row + 0.5) + f
            found[row, column] = 0 <= u < size and 0 <= v < size and bool(allowed[0, 0, int(v), int(u)])
    return found


def changed_crop(photo, here, size):
    """What a generator makes of the photo, which is not quite it, and its edit, another colour everywhere."""
    source = crop(photo, here, size) * 0.9
    return source, source + torch.tensor([0.4, -0.3, 0.5]).view(1, 3, 1, 1)


@pytest.mark.parametrize("case", PLACES)
def test_outside_of_what_is_allowed_every_pixel_keeps_its_bytes(case):
    photo, (here, size) = photo_of(astronaut()), PLACES[case]
    allowed = disc(size, 0.3)
    source, edited = changed_crop(photo, here, size)
    pixels, certificate = paste(photo, here, source, edited, allowed)
    may = allowed_pixels(photo, here, allowed)
    assert np.array_equal(pixels[~may], photo.pixels[~may])
    changed = (pixels != photo.pixels).any(2)
    assert changed.sum() > 0.5 * may.sum()
    assert certificate.pixels == 512 * 512 and certificate.allowed == may.sum()
    assert certificate.changed == changed.sum() and certificate.leak == 0 and certificate.local


@pytest.mark.parametrize("case", PLACES)
def test_blending_one_pixel_too_far_is_seen(case, monkeypatch):
    photo, (here, size) = photo_of(astronaut()), PLACES[case]
    source, edited = changed_crop(photo, here, size)
    written, wide = module._written, []

    def one_too_far(photo, box, seen, aim, inside):
        grown = inside.copy()
        grown[1:] |= inside[:-1]
        wide.append((grown & ~inside).sum())
        return written(photo, box, seen, np.where(grown[..., None], 255 - seen, aim), grown)

    monkeypatch.setattr(module, "_written", one_too_far)
    _, certificate = paste(photo, here, source, edited, disc(size, 0.3))
    assert wide[0] > 0 and certificate.leak > 0 and not certificate.local


def test_the_certificate_counts_what_leaks_past_the_box_of_the_face():
    before = photo_of(astronaut()).pixels
    after = before.copy()
    after[500, 3] += 7
    after[130, 200] += 9
    inside = np.zeros((100, 80), bool)
    inside[30, 50] = True
    certificate = certify(before, after, inside, (150, 100, 230, 200))
    assert (certificate.changed, certificate.leak, certificate.allowed) == (2, 7, 1)
    inside[30, 50] = False
    assert certify(before, after, inside, (150, 100, 230, 200)).leak == 9


def test_where_both_crops_are_equal_the_photo_stays():
    photo, here = photo_of(astronaut()), square(220, 120, 150, 10)
    source = torch.rand(1, 3, 256, 256) * 2 - 1
    pixels, certificate = paste(photo, here, source, source, disc(256, 0.4))
    assert np.array_equal(pixels, photo.pixels) and certificate.changed == 0


def test_nothing_allowed_changes_nothing():
    photo, here = photo_of(astronaut()), square(220, 120, 150, 10)
    source, edited = changed_crop(photo, here, 256)
    pixels, certificate = paste(photo, here, source, edited, torch.zeros(1, 1, 256, 256, dtype=torch.bool))
    assert np.array_equal(pixels, photo.pixels) and (certificate.allowed, certificate.changed) == (0, 0)


def test_what_is_allowed_past_the_rim_of_the_photo_only_changes_nothing():
    photo, here = photo_of(astronaut()), square(10, 256, 200)
    source, edited = changed_crop(photo, here, 128)
    pixels, certificate = paste(photo, here, source, edited, disc(128, 0.15, x=0.2))
    assert np.array_equal(pixels, photo.pixels) and certificate.local and certificate.allowed == 0


@pytest.mark.parametrize("side", [100, 256, 600])
def test_a_change_arrives_where_it_belongs(side):
    """The other picture in the crop becomes the picture in the photo, up to resampling."""
    photo, other = photo_of(smooth(900, 900, 1)), photo_of(smooth(900, 900, 2))
    here = square(450, 450, side, 25)
    source, edited = crop(photo, here, 256), crop(other, here, 256)
    pixels, _ = paste(photo, here, source, edited, disc(256, 0.45))
    u, v = (
        here.to_crop(1)[i, :2] @ np.indices((900, 900))[::-1].reshape(2, -1) + here.to_crop(1)[i, 2] for i in (0, 1)
    )
    deep = (np.hypot(u - 0.5, v - 0.5) < 0.35).reshape(900, 900)
    away = np.abs(pixels[deep].astype(int) - other.pixels[deep])
    assert away.max() <= 6 and away.mean() < 1


@pytest.mark.parametrize("size", [32, 256, 1024])
@pytest.mark.parametrize("radius", [0.02, 0.1, 0.45])
def test_the_feather_is_1_inside_and_leads_to_0_at_the_rim(size, radius):
    allowed = disc(size, radius)
    weights = feather(allowed, square(100, 100, size))
    assert weights.shape == allowed.shape and float(weights.min()) >= 0 and float(weights.max()) <= 1 + 1e-6
    assert (weights[~allowed] == 0).all()
    assert not allowed.any() or float(weights.max()) > 0
    if radius == 0.45:
        assert float(weights[0, 0, size // 2, size // 2]) == pytest.approx(1)
        steps = weights[0, 0, size // 2].diff().abs().max()
        assert steps < 0.21 if size == 32 else steps < 1.2 / (2 * size / 128 + 1)


def test_the_rim_of_the_crop_is_a_rim():
    weights = feather(torch.ones(1, 1, 256, 256, dtype=torch.bool), square(100, 100, 256))
    assert float(weights[0, 0, 0].max()) < 0.3 and float(weights[0, 0, 128, 128]) == pytest.approx(1)


def test_no_step_shows_at_the_rim():
    """One colour added to a flat photo: neighbours differ by little, although the area ends sharply."""
    photo = photo_of(Image.new("RGB", (300, 300), (100, 100, 100)))
    here, source = square(150, 150, 256, 20), torch.zeros(1, 3, 512, 512)
    pixels, _ = paste(photo, here, source, source + 0.3, disc(512, 0.3))
    assert pixels[150, 150, 0] == 138
    steps = max(int(np.abs(np.diff(pixels[..., 0].astype(int), axis=axis)).max()) for axis in (0, 1))
    assert steps <= 16


@pytest.mark.parametrize("degrees", [0, 30])
def test_a_change_finer_than_the_photo_arrives_as_its_mean(degrees):
    photo, here = photo_of(Image.new("RGB", (200, 200), (100, 100, 100))), square(100.3, 99.6, 61, degrees)
    source = torch.zeros(1, 3, 512, 512)
    edited = source.clone()
    edited[..., ::2] = 0.8
    pixels, _ = paste(photo, here, source, edited, disc(512, 0.4))
    assert np.abs(pixels[92:108, 92:108].astype(int) - 151).max() <= 2


@pytest.mark.parametrize("change", [-0.4, -0.05, 0.02])
def test_a_photo_keeps_its_own_colours(change):
    """Adobe's green is greener than sRGB can be: it stays outside, and inside the change is added to it."""
    photo, here = photo_of(Image.new("RGB", (200, 200), (59, 200, 60)), profile=ADOBE), square(100, 100, 120)
    source = torch.zeros(1, 3, 128, 128)
    edited = source + torch.tensor([0.0, change, 0.0]).view(1, 3, 1, 1)
    pixels, certificate = paste(photo, here, source, edited, disc(128, 0.3))
    assert certificate.local and tuple(pixels[10, 10]) == (59, 200, 60)
    away = pixels[100, 100].astype(int) - (59, 200, 60)
    assert 0.6 < away[1] / (change * 127.5) < 1.5 and np.abs(away).max() <= max(4, abs(change) * 160), away


def test_clear_pixels_stay_as_they_are():
    alpha = np.full((512, 512), 255, np.uint8)
    alpha[:, :220] = 0
    photo, here = photo_of(astronaut(), alpha=alpha), square(220, 120, 150)
    source, edited = changed_crop(photo, here, 256)
    pixels, _ = paste(photo, here, source, edited, disc(256, 0.3))
    changed = (pixels != photo.pixels).any(2)
    assert changed[:, 220:].any() and not changed[:, :220].any()


def test_several_faces_are_pasted_one_after_the_other():
    photo = photo_of(astronaut())
    for here in (square(120, 120, 100), square(400, 300, 100)):
        pixels, certificate = paste(photo, here, *changed_crop(photo, here, 128), disc(128, 0.4))
        assert certificate.local and certificate.changed
        photo = photo.with_pixels(pixels)
    with pytest.raises(ValueError, match="pixels of the photo x.png are uint8"):
        photo.with_pixels(photo.pixels[:4])


def test_allowed_pixels_are_those_whose_centre_is_allowed():
    photo, here = photo_of(astronaut()), square(220, 120, 77, 13)
    allowed = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) > 0.5
    left, top, right, bottom = box = here.box(photo)
    expected = allowed_pixels(photo, here, allowed)
    assert np.array_equal(allowed_in_photo(here, allowed, box), expected[top:bottom, left:right])


IMAGE, AREA = torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 64, 64, dtype=torch.bool)
WRONG = {
    "another size": (IMAGE, torch.zeros(1, 3, 32, 32), AREA, r"\[1,3,R,R\]"),
    "a batch": (torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64), AREA, r"\[1,3,R,R\]"),
    "a soft area": (IMAGE, IMAGE, AREA.float(), "float32"),
    "another area": (IMAGE, IMAGE, AREA[..., :32], r"\[1,1,R,R\]"),
    "not a number": (IMAGE, IMAGE * torch.nan, AREA, "not finite"),
    "infinite": (IMAGE + torch.inf, IMAGE, AREA, "not finite"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(case):
    source, edited, allowed, said = WRONG[case]
    with pytest.raises(ValueError, match=said):
        paste(photo_of(astronaut()), square(220, 120, 100), source, edited, allowed)
