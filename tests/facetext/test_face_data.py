"""Captions, truth of captions, altered faces, packed faces, balance and batches: what facetext and the judge are
trained on.
"""

import pytest
import torch
from PIL import Image

from where2edit.backbones.face_areas import soft_mask
from where2edit.facetext import alterations, celeba, packed
from where2edit.facetext.augmentation import augment
from where2edit.facetext.balance import UNKNOWN_GROUP, Balance, group
from where2edit.facetext.batches import FaceBatches
from where2edit.facetext.caption_bank import CaptionBank
from where2edit.facetext.captions import Caption, composites, held_out, singles
from where2edit.facetext.concept import plain
from where2edit.facetext.config import Mix
from where2edit.facetext.phrases import CONCEPTS, EDITOR_PROMPTS, INDEX, NAMES
from where2edit.facetext.synthetic_faces import TRAIN_SEEDS, VALIDATION_SEEDS, quick_labels, shrink_labels
from where2edit.facetext.truth import celeba_truth
from where2edit.ops.colour import lab_to_rgb, rgb_to_lab
from where2edit.training.recolouring import HAIR_LAB, region_colour
from where2edit.training.sample_corpus import write_corpus


def parsed_face(count: int = 2, size: int = 64) -> packed.Faces:
    """Skin disc with brows, eyes, nose, mouth and hair where a face has them; grey-brown picture."""
    labels = torch.zeros(size, size, dtype=torch.uint8)
    labels[: size // 2] = 17
    labels[size // 4 :, size // 5 : -size // 5] = 1
    labels[26:28, 18:28], labels[26:28, 36:46] = 2, 3
    labels[30:33, 18:28], labels[30:33, 36:46] = 4, 5
    labels[32:42, 29:35] = 10
    labels[47:50, 24:40], labels[50:54, 24:40] = 12, 13
    images = torch.full((count, 3, size, size), 110, dtype=torch.uint8)
    images[:, 0] += 30
    return packed.Faces(images, labels.expand(count, -1, -1).clone(), torch.arange(count))


def draft(count: int = 2) -> alterations.Draft:
    faces = parsed_face(count)
    return alterations.Draft(faces.images.float() / 255, faces.labels, torch.full((count, len(CONCEPTS)), -1))


def test_concepts_are_the_attributes_and_more():
    assert NAMES[:40] == celeba.ATTRIBUTES
    assert all(name in INDEX for name, _ in EDITOR_PROMPTS.values())


def test_no_caption_of_training_is_held_out():
    kept_out = held_out()
    assert len(kept_out) > 200 and not kept_out & {caption.text for caption in singles()}
    assert not kept_out & {plain(p) for c in CONCEPTS for side in (True, False) for p in c.phrases(side)}


def test_every_editor_prompt_is_taught():
    texts = {caption.text: caption.says for caption in singles()}
    for prompt, (name, side) in EDITOR_PROMPTS.items():
        assert texts[prompt] == ((INDEX[name], int(side)),)


def test_composites_are_the_same_for_a_seed():
    assert composites(50, 3) == composites(50, 3) != composites(50, 4)
    assert all(2 <= len(c.says) <= 3 and len({n for n, _ in c.says}) == len(c.says) for c in composites(500, 0))


def test_truth_of_captions():
    hat, smile = INDEX["Wearing_Hat"], INDEX["Smiling"]
    captions = [
        Caption("a hat", ((hat, 1),)),
        Caption("no hat", ((hat, 0),)),
        Caption("hat, no smile", ((hat, 1), (smile, 0))),
    ]
    bank = CaptionBank(captions, torch.zeros(3, 4))
    truth = torch.full((4, len(CONCEPTS)), -1)
    truth[:, hat] = torch.tensor([1, 0, -1, 1])
    truth[:, smile] = torch.tensor([0, 1, 1, -1])
    said = bank.truth(torch.arange(3), truth)
    assert said.tolist() == [[1, 0, 1], [0, 1, 0], [-1, -1, 0], [1, 0, -1]]


def test_balance_weighs_both_sides_alike_and_inside_groups():
    truth = torch.full((400, len(CONCEPTS)), -1)
    male, young = INDEX["Male"], INDEX["Young"]
    truth[:, male], truth[:, young] = torch.arange(400) % 2, 1
    lipstick = INDEX["Wearing_Lipstick"]
    truth[:, lipstick] = 1 - truth[:, male]
    truth[:20, lipstick] = truth[:20, male]  # ten men with, ten women without
    for within in (0.0, 1.0):
        balance = Balance(within)
        balance.update(truth)
        weights = balance.weights(truth)
        ones, sex = truth[:, lipstick] == 1, truth[:, male] == 1
        assert weights[ones, lipstick].sum().item() == pytest.approx(0.5, rel=0.01)
        assert weights[~ones, lipstick].sum().item() == pytest.approx(0.5, rel=0.01)
        men = weights[sex & ones, lipstick].sum() / weights[sex & ~ones, lipstick].sum()
        assert (men.item() == pytest.approx(1, rel=0.01)) == (within == 1.0)
        assert weights[:, INDEX["Bald"]].abs().sum() == 0


def test_groups_and_truth_of_attributes():
    values = torch.zeros(2, 40, dtype=torch.uint8)
    values[0, celeba.ATTRIBUTES.index("Male")] = values[0, celeba.ATTRIBUTES.index("Smiling")] = 1
    truth = celeba_truth(values)
    assert group(truth).tolist() == [2, 0]
    assert truth[:, INDEX["Sad"]].tolist() == [0, -1] and truth[:, INDEX["Purple_Hair"]].tolist() == [0, 0]
    assert group(torch.full((1, len(CONCEPTS)), -1)).tolist() == [UNKNOWN_GROUP]


def test_lab_there_and_back():
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(images)), images, atol=1e-4, rtol=0)
    white = rgb_to_lab(torch.ones(1, 3, 1, 1))[0, :, 0, 0]
    torch.testing.assert_close(white, torch.tensor([100.0, 0.0, 0.0]), atol=0.02, rtol=0)


@pytest.mark.parametrize("name", list(HAIR_LAB))
def test_hair_takes_the_colour_and_nothing_else_moves(name):
    work = draft()
    before = work.images.clone()
    alterations.alter_hair(work, torch.arange(2), torch.Generator().manual_seed(0), {name: HAIR_LAB[name]})
    hair = soft_mask(work.labels, "hair")
    target = torch.tensor(HAIR_LAB[name])
    new, old = (region_colour(x, hair) for x in (work.images, before))
    assert ((new - target)[:, 1:].norm(dim=1) < 0.6 * (old - target)[:, 1:].norm(dim=1) + 6).all()
    untouched = (hair == 0).expand_as(before)
    assert torch.equal(work.images[untouched], before[untouched])
    assert (work.truth[:, INDEX[name]] == 1).all() and int(
        (work.truth[:, [INDEX[n] for n in HAIR_LAB]] == 1).sum()
    ) == 2


def test_frown_moves_the_mouth_only_near_it():
    faces = parsed_face(1)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    moved = alterations.frown(images, faces.labels, torch.tensor([0.5]))
    assert (moved - images)[:, :, 44:58, 20:44].abs().max() > 0.1
    assert (moved - images)[:, :, :12].abs().max() < 0.02
    torch.testing.assert_close(alterations.frown(images, faces.labels, torch.zeros(1)), images, atol=1e-5, rtol=0)


def test_every_alteration_says_what_it_did():
    work = draft(6)
    images, truth = alterations.alter(work.images, work.labels, work.truth, torch.Generator().manual_seed(1))
    changed = (images - work.images).abs().flatten(1).amax(1) > 0
    assert torch.equal((truth != work.truth).any(1), changed)
    assert images.min() >= 0 and images.max() <= 1


def test_packed_faces_come_back(tmp_path):
    faces = parsed_face(3)
    packed.save(tmp_path / "faces.safetensors", faces, {})
    again = packed.load(tmp_path / "faces.safetensors")
    assert torch.equal(again.labels, faces.labels) and torch.equal(again.ids, faces.ids)
    assert (again.images.int() - faces.images.int()).abs().max() <= 6
    assert packed.load(tmp_path / "faces.safetensors", 32).images.shape == (3, 3, 32, 32)
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="write a packed face set with"):
        packed.load(tmp_path / "broken.safetensors")


def small_batches(seed: int = 0) -> FaceBatches:
    photos, values = parsed_face(12).images, (torch.arange(12 * 40).reshape(12, 40) % 3 == 0).to(torch.uint8)
    return FaceBatches(photos, values, parsed_face(4), parsed_face(3), Mix(8, 4), seed)


def test_batches_repeat_for_a_step_and_differ_between_steps():
    (images, truth), (again, _), (other, _) = small_batches()(3, 48), small_batches()(3, 48), small_batches()(4, 48)
    assert images.shape == (8, 3, 48, 48) and truth.shape == (8, len(CONCEPTS))
    assert torch.equal(images, again) and not torch.equal(images, other)
    assert images.min() >= -1 and images.max() <= 1


def test_augmentation_keeps_the_face_in_place():
    images = parsed_face(8).images.float() / 255
    assert (augment(images, 64, torch.Generator().manual_seed(0)).mean() - images.mean()).abs() < 0.1


def test_labels_shrink_without_new_classes():
    labels = torch.tensor([[0, 17], [17, 0]]).repeat_interleave(8, 0).repeat_interleave(8, 1)[None]
    assert set(shrink_labels(labels, 5).unique().tolist()) == {0, 17}


def test_mixed_precision_labels_are_those_of_full_precision():
    from safetensors.torch import load_file

    from where2edit.backbones.face_parsing import FaceParser
    from where2edit.files import assets

    images = load_file(assets.shipped("tests/replay/facetext.safetensors"))["images"].float() / 127.5 - 1
    parser = FaceParser.load(256)
    labels = parser.labels(images)
    assert len(labels.unique()) > 5
    assert (quick_labels(parser, images) == labels).float().mean() > 0.98


def test_seeds_of_training_and_validation_never_meet():
    assert VALIDATION_SEEDS + 1000 <= TRAIN_SEEDS


def csv_of(path, rows):
    path.write_text(
        "image," + ",".join(celeba.ATTRIBUTES) + "\n" + "".join(f"{n}," + ",".join(v) + "\n" for n, v in rows)
    )
    return path


def test_celeba_is_read_in_ffhq_framing(tmp_path):
    Image.new("RGB", (178, 218), (10, 20, 30)).save(tmp_path / "1.png")
    table = celeba.read_attributes(csv_of(tmp_path / "a.csv", [("1.png", ["-1"] * 39 + ["1"]), ("2.png", ["0"] * 40)]))
    assert table.values[0].tolist() == [0] * 39 + [1] and table.validation().tolist() == [True, False]
    images, readable = celeba.read_images(tmp_path, ["1.png"], 56)
    assert readable.tolist() == [True]
    assert images.shape == (1, 3, 56, 56) and images[0, :, 20, 20].tolist() == [10, 20, 30]
    with pytest.raises(ValueError, match="cannot read .*2.png"):
        celeba.read_images(tmp_path, ["2.png"])


@pytest.mark.parametrize(
    ("text", "said"), [("image,Bald\n1.png,0\n", "lacks the columns"), (None, "no attribute file")]
)
def test_bad_attribute_files(tmp_path, text, said):
    if text:
        (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        celeba.read_attributes(tmp_path / "a.csv")


def test_attribute_values_are_checked(tmp_path):
    with pytest.raises(ValueError, match="other than"):
        celeba.read_attributes(csv_of(tmp_path / "a.csv", [("1.png", ["2"] * 40)]))
    with pytest.raises(ValueError, match="no integer"):
        celeba.read_attributes(csv_of(tmp_path / "a.csv", [("1.png", ["yes"] * 40)]))


def test_corpus_is_the_same_for_a_seed(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_corpus(tmp_path / name, 3, 10, seed)
    read = {name: [(tmp_path / name / f"{i}.txt").read_text() for i in range(3)] for name in "abc"}
    assert read["a"] == read["b"] != read["c"]
    assert all(
        len(text.splitlines()) == 10 and all(line.endswith(".") for line in text.splitlines()) for text in read["a"]
    )


def test_the_shipped_corpus_is_what_the_script_writes(tmp_path):
    from where2edit.files.assets import shipped

    write_corpus(tmp_path)
    assert all(
        (shipped("celeba-caption") / f"{i}.txt").read_text() == (tmp_path / f"{i}.txt").read_text() for i in range(500)
    )
