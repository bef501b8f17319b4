"""Which photos the table of photos takes: files and folders, without those that show no face."""

import pytest
from photo_cases import ASTRONAUT, astronaut, smooth

from where2edit.evaluation import photo_samples as module
from where2edit.evaluation.photo_samples import photo_samples
from where2edit.photos.finding import PhotoFace


@pytest.fixture(autouse=True)
def faces_by_size(monkeypatch):
    """In place of the detector: a photo of 512 px shows the astronaut, any other no face."""

    def choose(photo):
        if photo.size != (512, 512):
            raise ValueError(f"no face was found in {photo.name}")
        return (PhotoFace(1, ASTRONAUT, ASTRONAUT.flatten()[:4], 0.9),)

    monkeypatch.setattr(module, "choose", choose)


@pytest.fixture
def folder(tmp_path):
    astronaut().save(tmp_path / "a.png")
    smooth(80, 60).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    astronaut().rotate(3).save(tmp_path / "d.png")
    return tmp_path


@pytest.mark.filterwarnings("ignore:left out")
def test_a_folder_gives_the_photos_with_a_face(folder):
    with pytest.warns(UserWarning, match="left out: no face was found in"):
        found = photo_samples([folder])
    assert [sample.name for sample in found] == ["a", "d"]
    assert found[0].read().size == (512, 512)
    assert len({sample.key for sample in found}) == 2
    assert [sample.name for sample in photo_samples([folder], most=1)] == ["a"]


def test_files_may_be_named_one_by_one_and_count_once(folder):
    paths = [folder / "d.png", folder / "a.png", folder / "d.png"]
    assert [sample.name for sample in photo_samples(paths)] == ["d", "a"]


def test_without_photos_the_astronaut_of_scikit_image_is_taken():
    pytest.importorskip("skimage")
    (found,) = photo_samples()
    assert found.name == "astronaut"
    assert found.read().size == (512, 512)


def test_without_scikit_image_a_sentence_says_what_to_give(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="no photo without scikit-image; give photos .* with --photos"):
        photo_samples()


@pytest.mark.filterwarnings("ignore:left out")
def test_nothing_to_measure_is_refused(folder):
    with pytest.raises(ValueError, match=r"nothing\.png is not there; give photos"):
        photo_samples([folder / "nothing.png"])
    with pytest.raises(ValueError, match="needs a photo, and of 2 that were found none can be used"):
        photo_samples([folder / "b.png", folder / "c.png"])
