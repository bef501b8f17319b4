"""Pictures: what is written is what was given, and what is not a picture is refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from where2edit.files import labels, pictures


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_uint8_covers_the_whole_range_and_clips():
    image = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert pictures.to_uint8(image)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_every_byte_survives_a_round_trip(tmp_path):
    values = torch.arange(256).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    path = pictures.save_png(values / 127.5 - 1, tmp_path / "all.png")
    assert np.array_equal(pictures.to_uint8(pictures.load_image(path))[0, :, :, 0].ravel(), np.arange(256))


def test_same_pixels_same_bytes_and_no_leftovers(tmp_path):
    image = noise(3, 20, 30)
    first = pictures.save_png(image, tmp_path / "deep" / "a.png").read_bytes()
    assert first == pictures.save_png(image.clone(), tmp_path / "deep" / "b.png").read_bytes()
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["a.png", "b.png"]


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = pictures.save_png(noise(3, 8, 8), tmp_path / "a.png")
    before = path.read_bytes()
    monkeypatch.setattr(Image.Image, "save", lambda *a, **k: (_ for _ in ()).throw(OSError("disk is full")))
    with pytest.raises(OSError, match="disk is full"):
        pictures.save_png(noise(3, 8, 8, seed=1), path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_not_a_picture_is_refused(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a picture") as error:
        pictures.load_image(path)
    assert "\n" not in str(error.value)


def test_truncated_missing_and_folder(tmp_path):
    whole = pictures.save_png(noise(3, 64, 64), tmp_path / "a.png")
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        pictures.load_image(tmp_path / "half.png")
    for place in (tmp_path / "none.png", tmp_path):
        with pytest.raises(ValueError, match="no picture at"):
            pictures.load_image(place)


def test_modes_become_rgb(tmp_path):
    grey16 = Image.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16))
    grey16.save(tmp_path / "grey16.png")
    assert pictures.to_uint8(pictures.load_image(tmp_path / "grey16.png"))[0, 0, :, 1].tolist() == [0, 128, 255]
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert pictures.load_image(tmp_path / "clear.png").min() == 1  # transparent shows the white below
    Image.new("L", (4, 2), 255).save(tmp_path / "grey.png")
    assert pictures.load_image(tmp_path / "grey.png").shape == (1, 3, 2, 4)


def test_camera_rotation_is_obeyed(tmp_path):
    picture = Image.new("RGB", (6, 4))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert pictures.load_image(tmp_path / "turned.jpg").shape == (1, 3, 6, 4)


def test_size_takes_the_central_square(tmp_path):
    wide = torch.full((3, 8, 24), -1.0)
    wide[:, :, 8:16] = 1.0
    image = pictures.load_image(pictures.save_png(wide, tmp_path / "wide.png"), size=4)
    assert image.shape == (1, 3, 4, 4) and image.min() > 0.8


@pytest.mark.parametrize("bad", [torch.zeros(3, 4, 4), torch.zeros(1, 1, 4, 4), torch.full((1, 3, 2, 2), float("nan"))])
def test_wrong_tensors_are_refused(bad):
    with pytest.raises(ValueError):
        pictures.to_uint8(bad)


def test_regions_get_distinct_colours_and_keep_the_shape():
    colours = pictures.palette(20)
    assert torch.pdist(colours).min() > 0.7
    assert torch.equal(pictures.palette(5), colours[:5])
    labels = torch.arange(16).reshape(4, 4)
    painted = pictures.overlay_regions(torch.zeros(3, 8, 8), labels, opacity=1.0)
    assert painted.shape == (3, 8, 8)
    assert torch.allclose(painted[:, 3, 5], colours[labels[1, 2]])
    with pytest.raises(ValueError, match="labels must be"):
        pictures.overlay_regions(torch.zeros(2, 3, 8, 8), labels)


def test_mask_tints_only_where_it_is_on():
    mask = torch.zeros(1, 1, 2, 2)
    mask[..., 0, 0] = 1
    image = noise(1, 3, 8, 8)
    tinted = pictures.overlay_mask(image, mask, opacity=1.0)
    assert torch.equal(tinted[..., 4:, :], image[..., 4:, :]) and torch.equal(tinted[..., :4, 4:], image[..., :4, 4:])
    assert torch.equal(tinted[0, :, 0, 0], torch.tensor([1.0, -1.0, -1.0]))


def test_the_smallest_difference_is_visible():
    image = noise(3, 8, 8)
    changed = image.clone()
    changed[1, 2, 3] += 1e-6
    shown = pictures.difference(image, changed)
    assert shown[0, 2, 3] >= -0.5 and (shown == -1).sum() == 3 * 63


def test_sheet_places_cells_and_labels():
    white, black = torch.ones(3, 32, 32), -torch.ones(3, 32, 32)
    page = pictures.sheet([[black, white], [None, black]], ["first", "second"], ["a", "b"], cell=32)
    bare = pictures.sheet([[black, white], [None, black]], cell=32)
    assert bare.size == (3 * 2 + 64, 3 * 2 + 64)
    assert bare.getpixel((10, 10)) == (0, 0, 0) and bare.getpixel((50, 10)) == (255, 255, 255)
    assert page.width > bare.width and page.height > bare.height
    margin = np.asarray(page)[:, : page.width - bare.width]
    assert (margin < 100).any(), "row labels must leave ink"


def test_long_labels_are_wrapped_inside_the_cell():
    font = ImageFont.load_default(18)
    text = "a very long prompt about " + "x" * 90
    lines = labels.wrap(text, font, 120)
    assert len(lines) > 3 and all(font.getlength(line) <= 120 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert pictures.sheet([[torch.zeros(3, 8, 8)]], [text * 3], [text * 3], cell=128).height > 256


def test_sheet_refuses_a_wrong_number_of_labels():
    with pytest.raises(ValueError, match="2 columns but 1 column labels"):
        pictures.sheet([[torch.zeros(3, 8, 8)] * 2], [], ["one"])
    with pytest.raises(ValueError, match="one image or more"):
        pictures.sheet([])
