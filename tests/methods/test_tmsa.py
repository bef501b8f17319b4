"""TMSA: Eq. 1-4 by hand, the shift between two texts, and the training on pictures, with and without photos."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy
from PIL import Image

from where2edit.commands.alignment_training import photo_faces
from where2edit.commands.train import train
from where2edit.editor.editor import Editor
from where2edit.editor.profile import load_profile
from where2edit.editor.steps import Step
from where2edit.files.fingerprints import network_sha256
from where2edit.methods import METHODS
from where2edit.methods.base import MethodConfig
from where2edit.methods.tmsa import at_length, described
from where2edit.training.space_alignment import (
    AlignedFaces,
    AlignmentConfig,
    AlignmentTrainer,
    code_distance,
    generated_faces,
    space_alignment,
)
from where2edit.training.trainer import TrainingConfig


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))


def tmsa(frozen=None, seed=0, **options):
    torch.manual_seed(seed)
    method = METHODS.get("tmsa")(frozen or toy.frozen(), MethodConfig("tmsa", {"hidden": 32, **options}))
    method.precompute(toy.encoder())
    return method


def test_eq_1_and_3_are_one_minus_the_cosine_of_the_two_pictures():
    e, drawn = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    assert space_alignment(e, drawn).item() == pytest.approx(((1 - 1) + (1 - 0.8)) / 2)


def test_eq_2_and_4_are_the_squared_distance_summed_over_codes():
    answered = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]])  # one face, two codes of two numbers
    one_code, own_codes = torch.tensor([[1.0, 0.0]]), torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert code_distance(answered, one_code).item() == pytest.approx(2**2 + (1 + 1))
    assert code_distance(answered, own_codes).item() == pytest.approx(2**2 + 1)


def test_each_code_has_a_network_of_its_own_around_the_mean():
    method = tmsa(layers=1)
    assert len(method.networks) == toy.generator().num_w
    e = at_length(torch.randn(2, 32))
    with torch.no_grad():
        w = method.codes(e)
        assert torch.allclose(w[:, 3], toy.generator().w_mean + e @ method.networks[3][0].weight.T, atol=1e-5)
    assert w.shape == (2, toy.generator().num_w, 512) and torch.allclose(e.square().mean(1), torch.ones(2))


PHRASES = {
    "glasses": "human face with glasses",
    "a beard": "human face with a beard",
    "with bangs": "human face with bangs",
    "old": "old human face",
    "Surprised": "Surprised human face",
    "a woman with bangs": "a woman with bangs",
    "an old person": "an old person",
}


@pytest.mark.parametrize("prompt", PHRASES)
def test_the_text_with_the_attribute(prompt):
    assert described(prompt, "human face") == PHRASES[prompt]


@pytest.mark.parametrize("centred", [False, True])
def test_the_shift_is_the_difference_of_two_averaged_texts(centred):
    method = tmsa(templates=["{}", "a photo of {}"], centred=centred)
    method.centre.data = at_length(torch.randn(1, 32))[0]

    def mean(text):
        return at_length(toy.encoder().text([text, f"a photo of {text}"]).mean(0, keepdim=True))

    with torch.no_grad():
        neutral, glasses = mean("human face"), mean("human face with glasses")
        moved = method.centre - neutral if centred else 0
        expected = method.codes(glasses + moved) - method.codes(neutral + moved)
        assert torch.allclose(method.shift(("glasses",)), expected, atol=1e-5)


def test_every_face_gets_the_same_shift_times_the_strength():
    method, sources = tmsa(), toy.sources((0, 1))
    condition = toy.condition(["a beard", "bangs"] * 2, per_source=2, strength=-0.5)
    with torch.no_grad():
        edit, shifts = method.propose(sources, condition), method.shift(("a beard", "bangs"))
        for row in range(4):
            w = sources.w[row // 2 : row // 2 + 1] - 0.5 * shifts[row % 2]
            expected, tail = toy.generator().styles(w), edit.tail.styles
            for name, style in expected.items():
                own = tail[name] if name in tail else edit.styles[name]
                assert torch.allclose(own[row], style[0], atol=1e-4)


def test_a_second_prompt_or_a_reference_is_refused():
    condition = toy.condition(["a beard"], per_source=1)
    tmsa().check(condition)
    with pytest.raises(ValueError, match="difference of two texts; leave out --where and --reference"):
        tmsa().check(replace(condition, h=-condition.h))


TRAINING = TrainingConfig(steps=12, lr=0.003, warmup=0.0, decay=0.0, tensorboard=False)
CONFIG = AlignmentConfig(faces=24, pairs=8, in_domain=0.001, adaptation=0.001, adapt_from=0.5)


def run(method, folder, photos=None, config=CONFIG):
    faces = generated_faces(method, toy.encoder(), config.faces, TRAINING)
    return AlignmentTrainer(TRAINING, config, method, toy.encoder(), faces, photos, folder, "tmsa")


def test_a_short_training_lowers_the_loss_and_moves_its_own_parameters_only(tmp_path):
    method = tmsa(toy.frozen(resolution=8))
    training = run(method, tmp_path)
    start = {name: p.detach().clone() for name, p in method.named_parameters()}
    frozen = {net: network_sha256(net) for net in (toy.generator(8), toy.encoder())}
    figures = []
    for training.step in range(TRAINING.steps):
        figures.append(training.train_step())
    assert set(figures[0]) == {"total", "in_domain", "face_alignment"}
    assert figures[0]["total"] == pytest.approx(
        figures[0]["face_alignment"] + 0.001 * figures[0]["in_domain"], rel=1e-4
    )
    for name in ("total", "in_domain"):
        assert sum(each[name] for each in figures[-3:]) < 0.95 * sum(each[name] for each in figures[:3])
    moved = {name for name, p in method.named_parameters() if not torch.equal(p, start[name])}
    assert moved == {name for name in start if name != "centre"}, "the centre is measured, not learnt"
    assert all(network_sha256(net) == before for net, before in frozen.items())


def test_the_centre_is_the_mean_of_the_pictures(tmp_path):
    method = tmsa(toy.frozen(resolution=8))
    training = run(method, tmp_path)
    expected = F.normalize(training.faces.e.mean(0), dim=0) * 32**0.5
    assert torch.allclose(method.centre, expected, atol=1e-5)


def test_photos_are_aligned_and_late_in_the_run_adapted_to(tmp_path):
    method = tmsa(toy.frozen(resolution=8))
    photos = AlignedFaces(at_length(torch.randn(5, 32)), torch.randn(5, toy.generator(8).num_w, 512))
    training = run(method, tmp_path, photos)
    early = training.train_step()
    training.step = 6  # of 12, where the adaptation begins
    late = training.train_step()
    assert set(early) == {"total", "in_domain", "face_alignment", "photo_alignment"}
    assert set(late) == {*early, "adaptation"}
    training = run(method, tmp_path, replace(photos, w=None))
    training.step = 6
    assert "adaptation" not in training.train_step(), "without an inversion encoder nothing is adapted to"


def test_generated_faces_are_kept(tmp_path, monkeypatch):
    method = tmsa(toy.frozen(resolution=8))
    first = generated_faces(method, toy.encoder(), 9, TRAINING)
    monkeypatch.setattr("where2edit.training.space_alignment.source_seen", None)
    again = generated_faces(method, toy.encoder(), 9, TRAINING)
    assert torch.equal(first.e, again.e) and torch.equal(first.w, again.w) and first.w.shape == (9, 512)


def test_photos_of_a_folder_have_embeddings_and_codes(tmp_path):
    for number in range(3):
        Image.new("RGB", (178, 218), (60 * number, 100, 40)).save(tmp_path / f"{number}.png")
    profile = load_profile(toy.ROOT / "configs/toy.yaml", [f"alignment.photos={tmp_path}", "alignment.most_photos=2"])
    generator = toy.generator(32)
    faces = photo_faces(profile, tmp_path, toy.encoder(), generator)
    assert faces.e.shape == (2, 32) and faces.w is None, "the mean face sees no photo"
    with pytest.raises(ValueError, match="no pictures in .*alignment.photos is a folder of CelebA's aligned pictures"):
        photo_faces(profile, tmp_path / "none", toy.encoder(), generator)


@pytest.fixture(scope="module")
def toy_config(tmp_path_factory):
    path = tmp_path_factory.mktemp("tmsa") / "tmsa.yaml"
    path.write_text(
        f"base: {toy.ROOT / 'configs/toy.yaml'}\nname: tmsa\n"
        "method: {name: tmsa, strength: 1.0, options: {hidden: 16}}\n"
        "alignment: {faces: 8, pairs: 4}\n"
        "training: {steps: 2, lr: 0.001, snapshot_every: 1, sheet_every: 2, tensorboard: false}\n"
    )
    return path


@pytest.mark.slow
def test_the_command_trains_resumes_and_edits_with_what_it_wrote(toy_config, tmp_path):
    said = train(load_profile(toy_config), tmp_path / "run", "cpu")
    assert said.startswith(f"{tmp_path / 'run' / 'editor.safetensors'} after 2 steps")
    assert (tmp_path / "run/sheet-000002.png").is_file()
    longer = load_profile(toy_config, ["training.steps=3"])
    assert "after 3 steps" in train(longer, tmp_path / "run", "cpu")
    editor = Editor.load(toy_config, device="cpu", weights=str(tmp_path / "run/editor.safetensors"))
    assert editor.method.centre.any()
    result = editor.edit(editor.source(seed=1), Step("a beard"))
    assert result.edit.certificate[0].changed > 0 and not result.edit.certificate[0].promised


@pytest.mark.parametrize("name", ["tmsa", "tmsa_ffhq"])
def test_its_profiles_use_the_alignment_and_no_loss_on_edits(name):
    profile = load_profile(toy.ROOT / f"configs/methods/{name}.yaml")
    strength = 0.5 if name == "tmsa" else 1.0
    assert (profile.method.name, profile.method.strength, profile.method.weights) == ("tmsa", strength, None)
    assert not [each for each, entry in profile.losses.items() if entry.weight]


def test_on_the_paper_s_generator_it_edits_with_every_code():
    """StyleGAN2 of 64 px with random weights; what is learnt has gradients through the picture."""
    method, source = tmsa(toy.frozen(resolution=64, blend="32.conv1")), toy.sources((0,), 64)
    edit = method(source, toy.condition(["a beard"], per_source=1, strength=1.0))
    assert edit.image.shape == (1, 3, 64, 64) and (edit.shift > 0).all() and edit.shift.shape[1] == 10
    F.mse_loss(edit.image, source.image).backward()
    assert all(p.grad is not None and p.grad.any() for name, p in method.named_parameters() if name != "centre")
