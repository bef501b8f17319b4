"""The square of FFHQ, against its own formulas, and the way into it and back."""

import numpy as np
import pytest
import torch
from photo_cases import ASTRONAUT, astronaut, photo_of, smooth, square
from picture_files import ADOBE
from PIL import Image

from where2edit.photos.alignment import Alignment, crop, unalign


def ffhq_corners(points):
    """The corners of FFHQ's square as its data set was made (Karras et al. 2019), from eyes and mouth corners."""
    left, right, _, mouth_left, mouth_right = points
    eye_avg, eye_to_eye = (left + right) * 0.5, right - left
    mouth_avg = (mouth_left + mouth_right) * 0.5
    eye_to_mouth = mouth_avg - eye_avg
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x /= np.hypot(*x)
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    y = np.flipud(x) * [-1, 1]
    c = eye_avg + eye_to_mouth * 0.1
    return np.stack([c - x - y, c + x - y, c + x + y, c - x + y])


@pytest.mark.parametrize("seed", range(8))
def test_the_square_is_that_of_ffhq(seed):
    draw = np.random.default_rng(seed)
    turn, scale = np.exp(1j * draw.uniform(-np.pi, np.pi)), draw.uniform(0.2, 5)
    points = ASTRONAUT + draw.normal(0, 4, (5, 2))
    turned = (points[:, 0] + 1j * points[:, 1]) * turn * scale
    points = np.stack([turned.real, turned.imag], 1)
    found = Alignment.of(points)
    assert np.allclose(found.corners(), ffhq_corners(points))
    assert found.side == pytest.approx(np.linalg.norm(np.subtract(*ffhq_corners(points)[:2])))


@pytest.mark.parametrize("points", [np.zeros((4, 2)), np.zeros((5, 2)), np.full((5, 2), np.nan), np.ones((5, 3))])
def test_what_frames_no_face_is_refused(points):
    with pytest.raises(ValueError, match="landmarks"):
        Alignment.of(points)


@pytest.mark.parametrize("degrees", [0, 17, -90, 180, 240])
def test_the_maps_are_each_other_s_inverse(degrees):
    here = square(1234.5, 700.25, 333.3, degrees)
    there, back = (np.vstack([m, [0, 0, 1]]) for m in (here.to_photo(1024), here.to_crop(1024)))
    assert np.allclose(there @ back, np.eye(3), atol=1e-9)
    corners = there @ np.array([[0, 1024, 1024, 0], [0, 0, 1024, 1024], [1, 1, 1, 1]])
    assert np.allclose(corners[:2].T, here.corners())


def test_a_crop_on_the_grid_of_the_photo_is_a_cut():
    photo = photo_of(astronaut())
    cut = crop(photo, square(220, 120, 128), 128)
    expected = torch.from_numpy(photo.pixels[56:184, 156:284].copy()).permute(2, 0, 1)[None] / 127.5 - 1
    assert (cut - expected).abs().max() < 1e-4


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_square_turns_the_crop(quarters):
    photo = photo_of(astronaut())
    upright = crop(photo, square(220, 120, 128), 128)
    turned = crop(photo, square(220, 120, 128, -90 * quarters), 128)
    assert (torch.rot90(turned, quarters, (2, 3)) - upright).abs().max() < 1e-4


@pytest.mark.parametrize("degrees", [0, 30])
def test_a_large_face_is_shrunk_without_aliasing(degrees):
    """Stripes too fine for the crop become their mean."""
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::2] = 255
    small = crop(photo_of(Image.fromarray(stripes)), square(800, 800, 1000, degrees), 100)
    assert small.abs().max() < 0.06


# Side of the square in the photo, and pixels of the crop: the face is smaller, as large, and larger than the crop.
SCALES = [(100, 256), (256, 256), (600, 256)]


@pytest.mark.parametrize("side, size", SCALES)
@pytest.mark.parametrize("degrees", [0, 12, 155])
def test_the_way_back_gives_the_photo(side, size, degrees):
    photo = photo_of(smooth(900, 900))
    here = square(450, 450, side, degrees)
    box = here.box(photo)
    back = unalign(crop(photo, here, size), here, box)[0].permute(1, 2, 0).numpy()
    left, top, right, bottom = box
    expected = photo.pixels[top:bottom, left:right] / 127.5 - 1
    x, y = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    u, v = here.to_crop(1)[:, :2] @ [x.ravel(), y.ravel()] + here.to_crop(1)[:, 2:]
    inside = ((np.abs(u - 0.5) < 0.46) & (np.abs(v - 0.5) < 0.46)).reshape(x.shape)
    away = np.abs(back - expected)[inside] * 127.5
    assert away.max() < 5 and away.mean() < 0.7, "in levels of 255"
    outside = ((np.abs(u - 0.5) > 0.55) | (np.abs(v - 0.5) > 0.55)).reshape(x.shape)
    assert degrees == 0 or (back[outside] == 0).all()


def test_bands_do_not_show(monkeypatch):
    here, values = square(450, 450, 700, 12), torch.rand(1, 3, 64, 64)
    whole = unalign(values, here, (20, 30, 880, 870))
    monkeypatch.setattr("where2edit.photos.resampling.ROWS", 100)
    assert torch.allclose(unalign(values, here, (20, 30, 880, 870)), whole, atol=1e-5)


def test_past_the_rim_the_photo_is_reflected_blurred_and_faded():
    photo = photo_of(astronaut())
    image = crop(photo, square(50, 256, 400), 400)[0]  # 150 px of it lie left of the photo
    inside = torch.from_numpy(photo.pixels[56:456, :250].copy()).permute(2, 0, 1) / 127.5 - 1
    assert (image[:, :, 150:] - inside).abs().max() < 1e-4, "what lies inside is the photo itself"
    assert (image[:, :, 140:150] - image[:, :, 151:161].flip(2)).abs().mean() < 0.08
    detail = image.diff(dim=1).abs().mean((0, 1))
    assert detail[:60].mean() < 0.3 * detail[200:260].mean(), "it is blurred"
    assert image[:, :, 5].std(1).max() < 0.1 < 0.3 < image[:, :, 200].std(1).min(), "and fades"


@pytest.mark.parametrize("width, height", [(1, 1), (1, 400), (400, 1), (3, 2)])
def test_a_photo_smaller_than_the_square_is_continued(width, height):
    photo = photo_of(Image.new("RGB", (width, height), (10, 200, 90)))
    image = crop(photo, square(width / 2, height / 2, 200, 33), 64)
    assert ((image[0].mean((1, 2)) + 1) * 127.5 - torch.tensor([10, 200, 90])).abs().max() < 1


def test_a_square_outside_of_the_photo_is_refused():
    with pytest.raises(ValueError, match="lies outside of the photo x.png"):
        crop(photo_of(astronaut()), square(2000, 100, 200), 64)


def test_a_crop_has_the_colours_of_srgb():
    photo = photo_of(Image.new("RGB", (100, 100), (59, 200, 60)), profile=ADOBE)
    shown = (crop(photo, square(50, 50, 60), 32)[0, :, 16, 16] + 1) * 127.5
    assert np.abs(shown.numpy() - (0, 201, 37)).max() <= 3
