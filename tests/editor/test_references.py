"""The face in a reference picture: found, framed as FFHQ does, and a sentence where that cannot be."""

import warnings

import pytest
import torch
from PIL import Image

from where2edit.backbones import face_framing
from where2edit.backbones.alignment import FFHQ_LANDMARKS
from where2edit.backbones.face_framing import frame_face, is_framed
from where2edit.backbones.scrfd import FaceDetector
from where2edit.editor import references
from where2edit.editor.references import reference_face
from where2edit.files.pictures import to_image

MARKS = torch.tensor(FFHQ_LANDMARKS)


def dotted(width, height, centre, size, turn=0.0):
    """A picture with a bright dot at each landmark of a face of `size` pixels, and its landmarks in shares of it."""
    angle = torch.tensor(turn).deg2rad()
    rotation = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    points = (MARKS - 0.5) @ rotation.T * size + torch.tensor(centre, dtype=torch.float32)
    picture = Image.new("RGB", (width, height), (40, 60, 80))
    reach = max(2, int(size / 60))
    for x, y in points.round().int().tolist():
        picture.paste((255, 255, 255), (x - reach, y - reach, x + reach + 1, y + reach + 1))
    return picture, points / torch.tensor([width, height])


def dots(image):
    """Whether the image [1,3,s,s] is bright at FFHQ's landmarks."""
    places = (MARKS * image.shape[-1]).round().long()
    return [bool(image[0, :, y, x].min() > 0) for x, y in places.tolist()]


@pytest.fixture
def finds(monkeypatch):
    """Let the detector find these landmarks [F,5,2]."""

    def set_(points):
        monkeypatch.setattr(references, "find_faces", lambda image: points)

    return set_


@pytest.mark.parametrize("turn", [0.0, 20.0, -35.0])
@pytest.mark.parametrize("width, height", [(480, 200), (200, 480), (300, 300), (2400, 1024)])
def test_a_face_anywhere_in_a_photo_is_framed_as_ffhq_does(width, height, turn, finds):
    picture, points = dotted(width, height, (width * 0.4, height * 0.5), min(width, height) * 0.7, turn)
    finds(points[None])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        face = reference_face(picture, 128)
    assert face.shape == (1, 3, 128, 128) and all(dots(face))


def test_a_picture_that_is_framed_stays_as_it_is(finds):
    picture, points = dotted(256, 256, (128, 128), 256)
    finds(points[None])
    assert torch.equal(reference_face(picture, 64), to_image(picture))
    assert not is_framed(to_image(picture), points + 0.05) and not is_framed(torch.zeros(1, 3, 8, 9), points)


def test_past_the_rim_of_a_photo_its_edge_goes_on():
    picture, points = dotted(100, 100, (20, 50), 100)
    face = frame_face(to_image(picture), points, 64)
    assert torch.allclose(face[0, :, 32, 0], to_image(picture)[0, :, 99, 0], atol=0.02)


def test_of_several_faces_the_largest_is_taken_and_a_warning_says_so(finds):
    picture, points = dotted(400, 200, (100, 100), 150)
    finds(torch.stack([points, points + 0.3]))
    with pytest.warns(UserWarning, match="2 faces were found in the reference picture: the largest is taken"):
        assert all(dots(reference_face(picture, 128)))


@pytest.mark.parametrize("size", [(120, 30), (30, 120), (64, 64), (1, 9)])
def test_without_a_face_the_central_square_is_taken_and_a_warning_says_so(size, finds):
    finds(torch.zeros(0, 5, 2))
    picture = Image.linear_gradient("L").resize(size)
    with pytest.warns(UserWarning, match="no face was found in the reference picture: its central square is taken"):
        image = reference_face(picture, 128)
    side = min(size)
    assert image.shape == (1, 3, side, side)
    left, top = ((length - side) // 2 for length in size)
    assert torch.equal(image, to_image(picture)[:, :, top : top + side, left : left + side])


@pytest.mark.parametrize("error", [ImportError("no onnxruntime"), OSError("offline"), ValueError("no asset scrfd")])
def test_a_detector_that_cannot_be_had_does_not_end_the_edit(error, monkeypatch):
    def fail(image):
        raise error

    monkeypatch.setattr(references, "find_faces", fail)
    with pytest.warns(UserWarning, match=f"no face was looked for .*its central square is taken: {error}"):
        assert reference_face(Image.new("RGB", (40, 30)), 64).shape == (1, 3, 30, 30)


class Detector(FaceDetector):
    """Anchors by hand, in place of the network: every image shows the same faces, given in shares of the square."""

    def __init__(self, boxes, scores):
        self.size, self.boxes, self.scores = 320, torch.tensor(boxes), torch.tensor(scores)

    def _anchors(self, image):
        low, high = self.boxes[:, None, :2], self.boxes[:, None, 2:]
        return low + (high - low) * MARKS, self.boxes, self.scores


def test_each_face_is_found_once_and_the_largest_comes_first():
    boxes = [[0.1, 0.1, 0.3, 0.3], [0.11, 0.1, 0.31, 0.3], [0.5, 0.2, 0.9, 0.8], [0.0, 0.8, 0.1, 0.9]]
    points, found, scores = Detector(boxes, [0.8, 0.9, 0.7, 0.3]).faces(torch.zeros(3, 8, 8))
    assert torch.equal(found, torch.tensor(boxes)[[2, 1]]) and points.shape == (2, 5, 2)
    assert torch.equal(scores, torch.tensor([0.7, 0.9]))


@pytest.mark.parametrize("width, height", [(800, 400), (400, 800), (200, 100), (640, 640)])
def test_landmarks_are_shares_of_the_photo_whatever_its_shape(width, height, monkeypatch):
    side = max(width, height)
    box = torch.tensor([width * 0.25, height * 0.25, width * 0.5, height * 0.5])
    offset = torch.tensor([(side - width) / 2, (side - height) / 2]).repeat(2)
    square = ((box + offset) / side).tolist()
    monkeypatch.setattr(FaceDetector, "load", classmethod(lambda cls, size: Detector([square], [0.9])))
    points = face_framing.find_faces(torch.zeros(1, 3, height, width))
    assert torch.allclose(points[0], 0.25 + 0.25 * MARKS, atol=0.01)


def test_small_faces_are_looked_for_at_a_larger_size(monkeypatch):
    asked = []

    def load(cls, size):
        asked.append(size)
        return Detector([[0.1, 0.1, 0.2, 0.2]], [0.9 if size == face_framing.LOOKS[1] else 0.1])

    monkeypatch.setattr(FaceDetector, "load", classmethod(load))
    assert len(face_framing.find_faces(torch.zeros(1, 3, 64, 64))) == 1 and tuple(asked) == face_framing.LOOKS


@pytest.mark.slow
def test_the_detector_finds_generated_faces_in_a_wide_photo():
    from where2edit.generators.mobilestylegan import MobileStyleGAN

    net = MobileStyleGAN.load()
    with torch.no_grad():
        faces = [net.synthesis(net.styles(net.w(net.sample_z([seed]), 0.7))) for seed in (0, 1)]
    assert all(is_framed(face, face_framing.find_faces(face)[0]) for face in faces)
    wide = torch.zeros(1, 3, 1024, 2600)
    wide[..., :1024], wide[..., -1024:] = faces
    found = face_framing.find_faces(wide)
    assert len(found) == 2 and sorted(round(float(x), 1) for x in found[:, 2, 0]) == [0.2, 0.8]
