"""A mask that was painted over a photo: where it lies in the crop of a face, and what is refused."""

import pytest
import torch
from photo_cases import photo_of, smooth, square
from PIL import Image
from special_files import refused

from where2edit.photos.mask import mask_in_crop, read_photo_mask
from where2edit.photos.resampling import places


def painted(folder, size, *boxes):
    picture = Image.new("L", size)
    for box in boxes:
        picture.paste(255, box)
    picture.save(folder / "mask.png")
    return folder / "mask.png"


@pytest.mark.parametrize("scale", [1, 0.5, 2])
@pytest.mark.parametrize("here", [square(120, 90, 80), square(100, 90, 60, 30), square(20, 30, 90, -10)])
def test_a_place_of_the_crop_is_white_where_its_place_in_the_photo_is(here, scale, tmp_path):
    photo = photo_of(smooth(240, 180))
    box = (60, 40, 130, 100)
    path = painted(tmp_path, (round(240 * scale), round(180 * scale)), tuple(round(x * scale) for x in box))
    mask = mask_in_crop(read_photo_mask(path, photo), photo, here, 64)
    x, y = (torch.from_numpy(each) for each in places(here.to_photo(64), (64, 64)))
    inner = (x > box[0] + 3) & (x < box[2] - 3) & (y > box[1] + 3) & (y < box[3] - 3)
    outer = (x > box[0] - 3) & (x < box[2] + 3) & (y > box[1] - 3) & (y < box[3] + 3)
    assert mask.shape == (1, 1, 64, 64) and mask.min() >= 0 and mask.max() <= 1
    assert inner.any() and (mask[0, 0][inner] > 0.95).all() and (mask[0, 0][~outer] == 0).all()


@pytest.mark.parametrize(
    "size, said",
    [
        ((180, 240), "is 180x240 px; it must have the photo's size, 240x180, or its shape"),
        ((180, 180), "is 180x180 px; it must have the photo's size, 240x180, or its shape"),
    ],
)
def test_a_mask_of_another_shape_is_refused(size, said, tmp_path):
    path = painted(tmp_path, size, (10, 10, 60, 60))
    refused(lambda: read_photo_mask(path, photo_of(smooth(240, 180))), "mask.png", said)


def test_a_black_mask_and_a_photograph_are_refused(tmp_path):
    photo = photo_of(smooth(240, 180))
    refused(lambda: read_photo_mask(painted(tmp_path, (240, 180)), photo), "is black everywhere")
    smooth(240, 180).save(tmp_path / "photo.png")
    refused(lambda: read_photo_mask(tmp_path / "photo.png", photo), "has several colours")
