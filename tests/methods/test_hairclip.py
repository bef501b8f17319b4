"""HairCLIP: each equation by hand, what counts as a prompt about hair, its losses, and what trains."""

import math

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.backbones import arcface, face_parsing
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.hair_words import about_hair, hair_change, names_hair_colour
from where2edit.editor.profile import load_profile
from where2edit.files.fingerprints import network_sha256
from where2edit.methods import METHODS
from where2edit.methods.base import MethodConfig
from where2edit.methods.hairclip import HairMapper, ModulatedBlock
from where2edit.training.losses.base import LossConfig, build_loss
from where2edit.training.losses.hair_colour import mean_colour
from where2edit.training.prompts import PromptSampler
from where2edit.training.trainer import EditorTrainer, TrainingConfig


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    monkeypatch.setattr(arcface.ArcFace, "load", toy.ColourIdentity)
    monkeypatch.setattr(face_parsing.FaceParser, "load", toy.DarkHair)


def hairclip(frozen=None, seed=0, **options):
    torch.manual_seed(seed)
    return METHODS.get("hairclip")(frozen or toy.frozen(), MethodConfig("hairclip", {"blocks": 1, **options}))


def identity(layer):
    layer.weight.data = torch.eye(*layer.weight.shape) / layer.gain


def test_h1_a_block_normalises_and_is_modulated_by_the_embedding():
    """Of four numbers (2, 0, 0, -2) mean 0 and sigma sqrt(2); gamma 1 and beta 0.5 come from constant networks."""
    block = ModulatedBlock(4, 3)
    identity(block.inner)
    for network, value in ((block.gamma, 1.0), (block.beta, 0.5)):
        network[-1].weight.data.zero_()
        network[-1].bias.data.fill_(value)
    x = block(torch.tensor([[[2.0, 0.0, 0.0, -2.0]]]), torch.ones(1, 3))
    expected = torch.tensor([2 * math.sqrt(2) + 0.5, 0.5, 0.5, 0.2 * (-2 * math.sqrt(2) + 0.5)]) * math.sqrt(2)
    assert torch.allclose(x[0, 0], expected, atol=1e-4)


def test_h1_another_embedding_modulates_otherwise():
    mapper, w = HairMapper(8, 3, blocks=2), torch.randn(1, 2, 8)
    first, second = (mapper(w, torch.tensor([e])) for e in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    assert first.shape == (1, 2, 8) and not torch.allclose(first, second, atol=1e-3)


def test_h2_coarse_and_medium_codes_hold_the_style_and_fine_codes_the_colour():
    """StyleGAN2 of 64 px: codes 0-3 are coarse, 4-7 medium, 8 and 9 fine."""
    method, source = hairclip(toy.frozen(resolution=64, blend="32.conv1")), toy.sources((0,), 64)
    prompts = ["curly hair", "blond hair", "long blond hair", "beautiful hair"]
    condition = toy.condition(prompts, per_source=4, strength=0.5)
    with torch.no_grad():
        edit = method.propose(source, condition)
        added = [
            mapper(source.w[:, codes], condition.h[:1])
            for codes, mapper in zip(method.codes, method.mappers, strict=True)
        ]
    moved = edit.shift > 0
    style, colour = moved[:, :8], moved[:, 8:]
    assert style.all(1).tolist() == [True, False, True, True] and style.any(1).tolist() == style.all(1).tolist()
    assert colour.all(1).tolist() == [False, True, True, True] and colour.any(1).tolist() == colour.all(1).tolist()
    assert method.codes == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    for place in range(4):
        assert edit.shift[0, place].item() == pytest.approx(0.5 * 0.1 * added[0][0, place].norm().item(), rel=1e-4)


HAIR = ("blond hair", "bangs", "Curly hair", "a woman with bangs", "a bald head", "a bob cut", "a man with a mohawk")
OTHER = ("a beard", "old", "a hat", "blond hair and red lipstick", "eyeglasses", "a woman", "red lipstick", "hello")


def test_what_is_about_hair():
    assert all(map(about_hair, HAIR)) and not any(map(about_hair, OTHER))
    assert [hair_change(p) for p in ("bangs", "gray hair", "short black hair", "hair")] == [
        (True, False),
        (False, True),
        (True, True),
        (True, True),
    ]
    assert names_hair_colour("red hair") and not names_hair_colour("red lipstick") and not names_hair_colour("bangs")


@pytest.mark.parametrize("prompt", OTHER)
def test_a_prompt_that_is_not_about_hair_alone_is_refused_politely(prompt):
    with pytest.raises(ValueError, match="hairclip edits hair and nothing else, got '.*'; name hair alone") as error:
        hairclip().check(toy.condition([prompt], per_source=1))
    assert len(str(error.value)) <= 300


def test_hair_prompts_and_reference_pictures_are_taken():
    method = hairclip()
    for prompt in HAIR:
        method.check(toy.condition([prompt], per_source=1))
    told = toy.condition(["hair style"], per_source=1)
    shown = Condition(torch.randn_like(told.h), told.h_attention, told.strength, told.prompts)
    method.check(shown)
    with torch.no_grad():
        first, second = (method.propose(toy.sources(), each).styles["8.conv1"] for each in (told, shown))
    assert not torch.allclose(first, second, atol=1e-4), "the picture leads, and not the words"


def pictures():
    """2 x 2 pixels in which the left column is dark (hair), and an edit of it."""
    before = torch.tensor([[-1.0, 1.0], [-1.0, 1.0]]).expand(1, 3, 2, 2).clone()
    after = before.clone()
    after[:, 0, 0, 0] = -0.4  # a pixel of hair
    after[:, :, 1, 1] = 0.5  # one that is none
    source = Source(w=torch.zeros(1, 1, 512), styles={}, features={}, image=before)
    return source, Edit(styles={}, mask=torch.ones(1, 1, 2, 2), image=after)


def loss(name):
    return build_loss(name, LossConfig(1.0), toy.encoder())


def test_the_background_is_what_shows_no_hair_before_and_after():
    source, edit = pictures()
    value = loss("hair_background")(source, edit, toy.condition(["bangs"], per_source=1))
    assert value.item() == pytest.approx(3 * 0.5**2 / 12)


def test_hair_keeps_its_colour_unless_a_colour_is_asked_for():
    source, edit = pictures()
    kept, asked = (loss("hair_colour")(source, edit, toy.condition([p], per_source=1)) for p in ("bangs", "red hair"))
    assert kept.item() == pytest.approx(0.6 / 2) and asked.item() == 0
    colour, found = mean_colour(torch.ones(1, 3, 2, 2), torch.zeros(1, 1, 2, 2))
    assert not colour.any() and not found.any(), "no hair has no colour"


LOSSES = {"clip_distance": 1.0, "hair_background": 1.0, "hair_colour": 0.02, "identity": 0.3, "style_delta": 0.02}
STEPS = 8


def test_a_short_training_lowers_the_loss_and_moves_its_own_parameters_only(tmp_path):
    method = hairclip(toy.frozen(resolution=8))
    built = {name: (LossConfig(weight), loss(name)) for name, weight in LOSSES.items()}
    config = TrainingConfig(steps=STEPS, prompts=2, lr=0.01, warmup=0.0, decay=0.0, tensorboard=False)
    prompts = PromptSampler(["bangs", "hair"], toy.conditions(), distinct=1.0)
    run = EditorTrainer(config, method, prompts, built, tmp_path, 1.0, "hairclip")
    start = {name: p.detach().clone() for name, p in method.named_parameters()}
    frozen = {net: network_sha256(net) for net in (toy.generator(8), toy.encoder())}
    run.step, totals = 5, []
    for _ in range(STEPS):  # the same sources again and again
        totals.append(run.train_step()["total"])
    assert sum(totals[-3:]) < sum(totals[:3]) - 0.05
    assert all(not torch.equal(p, start[name]) for name, p in method.named_parameters())
    assert all(network_sha256(net) == before for net, before in frozen.items())


@pytest.mark.parametrize("name", ["hairclip", "hairclip_ffhq"])
def test_its_profiles_use_its_losses_and_its_own_prompts(name):
    profile = load_profile(toy.ROOT / f"configs/methods/{name}.yaml")
    assert (profile.method.name, profile.training.mode, profile.method.weights) == ("hairclip", "many_prompts", None)
    assert {each for each, entry in profile.losses.items() if entry.weight} == set(LOSSES)
    assert len(profile.data.phrases) > 10 and all(map(about_hair, profile.data.phrases))


def test_on_the_paper_s_generator_every_parameter_has_a_gradient():
    """StyleGAN2 of 64 px with random weights."""
    method, source = hairclip(toy.frozen(resolution=64, blend="32.conv1")), toy.sources((0,), 64)
    edit = method(source, toy.condition(["long blond hair"], per_source=1, strength=1.0))
    assert edit.image.shape == (1, 3, 64, 64) and torch.equal(edit.mask, torch.ones_like(edit.mask))
    F.mse_loss(edit.image, source.image).backward()
    assert all(p.grad is not None and p.grad.any() for p in method.parameters())
