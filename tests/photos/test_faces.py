"""Faces of photos: found by the detector at every size and turn, numbered, chosen, and refused in one sentence."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from photo_cases import ASTRONAUT, astronaut, photo_of, smooth
from PIL import Image
from special_files import refused

from where2edit.backbones.alignment import FFHQ_LANDMARKS
from where2edit.photos import faces as module
from where2edit.photos.alignment import Alignment
from where2edit.photos.closer import look_closer
from where2edit.photos.faces import choose, degrees_turned, share_outside, why_not
from where2edit.photos.finding import TILE, PhotoFace, _each_once, _tiles, find_faces, turned_back
from where2edit.photos.numbering import numbered_picture

HEIGHT = 116  # of the astronaut's face
HEAD = (130, 20, 330, 220)  # a square around it


def pasted(width, height, *heads):
    """A picture with heads (x, y, height of the face, quarter turns) in it, and no other face."""
    picture = smooth(width, height).copy()
    for x, y, tall, quarters in heads:
        side = round((HEAD[2] - HEAD[0]) * tall / HEIGHT)
        head = astronaut().crop(HEAD).resize((side, side), Image.Resampling.LANCZOS).rotate(90 * quarters)
        picture.paste(head, (x - side // 2, y - side // 2))
    return photo_of(picture)


def face(points=ASTRONAUT, number=1, height=HEIGHT):
    points = np.asarray(points, float)
    centre = points.mean(0)
    return PhotoFace(number, points, np.concatenate([centre - height / 2, centre + height / 2]), 0.9)


def test_the_face_of_a_portrait_is_found_and_its_landmarks_are_known_to_less_than_a_pixel():
    photo = photo_of(astronaut())
    (found,) = find_faces(photo)
    assert found.number == 1 and found.size == pytest.approx(HEIGHT, abs=8)
    closer = look_closer(photo, found)
    assert np.abs(closer.points - ASTRONAUT).max() < 0.5 and closer.score > 0.6


@pytest.mark.parametrize("right, down", [(0.3, 0.2), (0.7, 0.5)])
def test_a_face_that_moves_by_less_than_a_pixel_moves_its_square_so(right, down):
    moved = astronaut().transform(
        (512, 512), Image.Transform.AFFINE, (1, 0, -right, 0, 1, -down), Image.Resampling.BICUBIC
    )
    here, there = (
        Alignment.of(look_closer(photo, find_faces(photo)[0]).points) for photo in map(photo_of, (astronaut(), moved))
    )
    assert np.abs(np.subtract(there.centre, here.centre) - (right, down)).max() < 0.35
    assert there.side == pytest.approx(here.side, rel=0.01)


@pytest.mark.parametrize("degrees", [20, 45, 90, 135, 180, 270])
def test_a_photo_held_in_any_way_is_framed_upright(degrees):
    turned = astronaut().rotate(degrees, expand=True, resample=Image.Resampling.BICUBIC)
    (found,) = choose(photo_of(turned))
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = (ASTRONAUT - 256) @ rotation.T + np.array(turned.size) / 2
    assert np.linalg.norm(found.points - expected, axis=1).mean() < 1.2


def test_ten_faces_are_numbered_by_their_size():
    heights = [64 + 7 * i for i in range(10)]
    photo = pasted(
        1200, 600, *((120 + 235 * (i % 5), 140 + 310 * (i // 5), tall + 6, 0) for i, tall in enumerate(heights))
    )
    found = find_faces(photo)
    assert [each.number for each in found] == list(range(1, 11))
    columns = [each.points[2, 0] for each in found]
    sizes = [each.size for each in found]
    assert sizes == sorted(sizes, reverse=True) and np.ptp(columns) > 900
    assert choose(photo, 10, found)[0].number == 10
    with warnings.catch_warnings(record=True):
        assert 8 <= len(choose(photo, "all", found)) <= 10
    refused(lambda: choose(photo, 11, found), "face 11 is asked for, but the photo x.png has 10 faces", "from 1 to 10")


def test_small_faces_of_a_large_photo_are_found_once_each():
    """Of 64 px and a little more, on the seams of tiles and between them; one fills several tiles."""
    spots = [(TILE, 150, 80), (400, 400, 72), (3300, 1500, 80), (2000, 1100, 900)]
    photo = pasted(3600, 1800, *((x, y, tall, 0) for x, y, tall in spots))
    found = find_faces(photo)
    assert len(found) == 4 and found[0].size > 700
    for x, y, tall in spots:
        nearest = min(found, key=lambda each: np.hypot(*(each.points[2] - [x, y])))
        assert np.hypot(*(nearest.points[2] - [x, y])) < 0.3 * tall


def test_tiles_cover_every_pixel_and_overlap():
    for width, height in ((TILE + 1, 10), (5000, 3333), (8000, 8000), (10, 2500)):
        seen = np.zeros((height // 10 + 1, width // 10 + 1), bool)
        for left, top, right, bottom in _tiles(width, height):
            assert (
                0 <= left < right <= width and 0 <= top < bottom <= height and max(right - left, bottom - top) <= TILE
            )
            seen[top // 10 : bottom // 10 + 1, left // 10 : right // 10 + 1] = True
        assert seen.all()
    assert not list(_tiles(TILE, TILE))


def test_what_several_looks_found_of_one_face_counts_once():
    boxes = torch.tensor([[0, 0, 100, 100], [5, 5, 104, 104], [40, 40, 99, 99], [200, 0, 300, 100]]).float()
    scores = torch.tensor([0.8, 0.9, 0.7, 0.6])
    points, kept, _ = _each_once(boxes[:, None, :2].expand(-1, 5, -1), boxes, scores)
    assert kept.tolist() == [boxes[1].tolist(), boxes[3].tolist()] and points.shape == (2, 5, 2)


@pytest.mark.parametrize("turns", range(4))
def test_places_in_a_turned_photo_are_those_of_the_photo(turns):
    photo = np.zeros((30, 50))
    photo[7, 12] = 1
    turned = np.rot90(photo, turns)
    ((row, column),) = np.argwhere(turned)
    found = turned_back(torch.tensor([[[column + 0.5, row + 0.5]]]), turned.shape[::-1], turns)
    assert found.tolist() == [[[12.5, 7.5]]]


def turned_to(yaw, pitch=0.0, roll=0.0):
    """Landmarks of a head seen from far away, in pixels: the nose stands out of the plane of eyes and mouth."""
    head = np.array([[-33, -35, 0], [33, -35, 0], [0, 0, 26], [-28, 35, 0], [28, 35, 0]], float)
    y, p, r = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    lean = np.array([[np.cos(r), -np.sin(r)], [np.sin(r), np.cos(r)]])
    return (head @ turn.T @ nod.T)[:, :2] @ lean.T + 300


@pytest.mark.parametrize("roll", [0, 40, 180])
@pytest.mark.parametrize("pitch", [-15, 0, 15])
@pytest.mark.parametrize("yaw", [-75, -50, -20, 0, 35, 55, 70])
def test_how_far_a_head_is_turned_is_seen_from_its_landmarks(yaw, pitch, roll):
    assert degrees_turned(face(turned_to(yaw, pitch, roll))) == pytest.approx(abs(yaw), abs=6)


def framed_at(x, y, side=200.0):
    """A face as FFHQ frames it, in a square with its upper left corner at x, y."""
    return face(np.array(FFHQ_LANDMARKS) * side + [x, y], height=0.74 * side)


PHOTO = photo_of(Image.new("RGB", (400, 300)))
# Where the face's square lies -> the share of the face outside; its box begins at 0.22 of the square and is 0.56 wide.
SHARES = {(100, 50): 0, (-44, 50): 0, (-100, 50): 0.5, (400 - 200 * 0.5, 50): 0.5, (100, -34): 0, (100, 300 - 108): 0.5}


@pytest.mark.parametrize("place", SHARES)
def test_the_share_of_a_face_outside_of_its_photo(place):
    assert share_outside(PHOTO, framed_at(*place)) == pytest.approx(SHARES[place], abs=0.04)


CANNOT = {
    "small": (framed_at(150, 100, 80), "is 59 px high, and 64 px are needed"),
    "cut off": (framed_at(-100, 50), "is cut off", "of it lie outside of the photo, and at most 20% may"),
    "cut off below": (framed_at(100, 200), "is cut off"),
    "turned away": (
        replace(face(turned_to(75) - 150)),
        "is turned away by about 7",
        "degrees, and at most 60 are edited",
    ),
}
CAN = {
    "whole": framed_at(100, 50),
    "almost whole": framed_at(-60, 50),
    "small": framed_at(150, 100, 90),
    "turned": face(turned_to(50) - 150),
    "upside down": face(turned_to(0, 0, 180) - 150),
}


@pytest.mark.parametrize("case", CANNOT)
@pytest.mark.parametrize("which", [None, 1, "all"])
def test_what_cannot_be_edited_is_refused(which, case, monkeypatch):
    monkeypatch.setattr(module, "look_closer", lambda photo, face: face)
    found, *said = CANNOT[case]
    refused(lambda: choose(PHOTO, which, [found]), "the photo x.png", *said)


@pytest.mark.parametrize("case", CAN)
def test_what_can_be_edited_is(case, monkeypatch):
    monkeypatch.setattr(module, "look_closer", lambda photo, face: face)
    assert why_not(PHOTO, CAN[case]) is None and choose(PHOTO, None, [CAN[case]]) == (CAN[case],)


def test_of_all_faces_those_that_cannot_be_edited_are_left_out_and_warnings_say_so(monkeypatch):
    monkeypatch.setattr(module, "look_closer", lambda photo, face: face)
    faces = [
        replace(each, number=i) for i, each in enumerate((CAN["whole"], CANNOT["turned away"][0], CAN["turned"]), 1)
    ]
    with pytest.warns(UserWarning, match="face 2 of the photo x.png is turned away .*: it stays as it is") as said:
        assert [each.number for each in choose(PHOTO, "all", faces)] == [1, 3]
    assert len(said) == 1


@pytest.mark.parametrize("which", [0, -1, True, 1.0, "2", "ALL", "x" * 5000, [1], float("nan")])
def test_what_is_no_number_of_a_face_is_refused(which):
    refused(
        lambda: choose(PHOTO, which, [CAN["whole"]]), "face is ", "give a number from 1 (the largest face) on, or 'all'"
    )


def test_a_photo_without_a_face_is_refused():
    photo = photo_of(smooth(300, 200))
    assert find_faces(photo) == ()
    refused(lambda: choose(photo), "no face was found in the photo x.png (300x200 px)")


def test_the_numbered_picture_shows_boxes_and_numbers():
    photo = photo_of(Image.new("RGB", (4000, 3000), (50, 60, 70)))
    faces = [replace(framed_at(500, 500, 1500), number=1), replace(framed_at(-300, 2000, 800), number=2)]
    picture = numbered_picture(photo, faces)
    assert picture.size == (1600, 1200)
    pixels = np.asarray(picture)
    green, grey = ((pixels == colour).all(2) for colour in ((60, 220, 90), (170, 170, 170)))
    left, top, right, bottom = (int(x) for x in faces[0].box * 0.4)
    assert green[top + 200, left : left + 3].any() and green[bottom - 2 : bottom + 1, (left + right) // 2].any()
    assert grey[:, 0].any() or grey.any(), "the second one is cut off"
    assert (pixels[top : top + 60, left : left + 60] < 40).all(2).any(), "a number in dark ink"
    assert not green[600:, 900:].any()


def test_the_numbered_picture_of_no_face_is_the_photo():
    assert np.array_equal(np.asarray(numbered_picture(photo_of(astronaut()), ())), np.asarray(astronaut()))
