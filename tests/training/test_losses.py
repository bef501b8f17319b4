"""Every loss on a case that can be worked out by hand, and the parameters that it reaches."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy
from toy_cases import random_vgg

from where2edit.backbones import arcface, vgg
from where2edit.core.config import build
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.cosine_calibration import CosineCalibration
from where2edit.editing.face_parts import part_ids
from where2edit.editing.prompt_parts import PERSON, WORDS, NamedParts, named_parts
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import LossConfig, build_loss
from where2edit.training.losses.views import shared_view


class Colour:
    """An encoder whose embedding of an image is the colour of its first pixel."""

    def image(self, images):
        return images[:, :, 0, 0]

    def text(self, prompts):
        return torch.stack([torch.eye(3)["rgb".index(prompt[0])] for prompt in prompts])


def picture(*colours):
    return torch.tensor(colours, dtype=torch.float32)[:, :, None, None].expand(-1, -1, 8, 8)


def case(source=((0.0, 0.0, 1.0),), edits=((1.0, 0.0, 0.0), (0.6, 0.8, 0.0)), h=((2.0, 0, 0), (0, 5.0, 0)), **fields):
    """One source, m edits of it and the embeddings of their prompts; colours are unit vectors."""
    h = torch.tensor(h, dtype=torch.float32)
    image = picture(*source)
    condition = Condition(h, h, per_source=len(edits) // len(source))
    edit = Edit(styles={}, mask=torch.ones(len(edits), 1, 2, 2), image=picture(*edits), **fields)
    return Source(torch.zeros(len(source), 1, 3), {}, {}, {}, image), edit, condition


def loss(name, encoder=None, **options):
    return build_loss(name, LossConfig(1.0, options=options), encoder or Colour())


def cross_entropy(rows, temperature):
    """Mean of -log softmax at the diagonal, with plain floats."""
    losses = []
    for j, row in enumerate(rows):
        logits = [cosine / temperature for cosine in row]
        losses.append(math.log(sum(math.exp(x) for x in logits)) - logits[j])
    return sum(losses) / len(losses)


def test_contrastive_is_the_cross_entropy_of_cosines_from_image_to_prompt():
    value = loss("clip_contrastive", temperature=0.5)(*case())
    # Cosines of the edits with the two prompts; from prompt to image the columns would be matched instead.
    assert value.item() == pytest.approx(cross_entropy([[1.0, 0.0], [0.6, 0.8]], 0.5), rel=1e-6)
    assert value.item() != pytest.approx(cross_entropy([[1.0, 0.6], [0.0, 0.8]], 0.5), rel=1e-2)


def test_relative_contrastive_looks_at_the_rise_over_the_source():
    value = loss("clip_contrastive", temperature=0.5, relative=True)(*case(source=((0.8, 0.6, 0.0),)))
    assert value.item() == pytest.approx(cross_entropy([[0.2, -0.6], [-0.2, 0.2]], 0.5), rel=1e-5)


def test_direct_term_is_the_mean_rise_of_the_own_cosine():
    arguments = case(source=((0.8, 0.6, 0.0),))
    plain = loss("clip_contrastive", temperature=0.5)(*arguments)
    direct = loss("clip_contrastive", temperature=0.5, direct=3.0)(*arguments)
    assert (plain - direct).item() == pytest.approx(3 * ((1.0 - 0.8) + (0.8 - 0.6)) / 2, rel=1e-5)


def test_the_direct_rise_ends_at_the_ceiling():
    arguments = case(source=((0.8, 0.6, 0.0),))  # own cosines: 0.8 -> 1.0 and 0.6 -> 0.8
    plain = loss("clip_contrastive", temperature=0.5)(*arguments)
    direct = loss("clip_contrastive", temperature=0.5, direct=3.0, ceiling=0.9)(*arguments)
    assert (plain - direct).item() == pytest.approx(3 * ((0.9 - 0.8) + (0.8 - 0.6)) / 2, rel=1e-5)


def calibration_file(folder, spread):
    """A calibration by which the cosines with red, green and blue have the standard deviations `spread`."""
    rows = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.6, 0.8, 0], [0, 0.6, 0.8]])
    path = CosineCalibration(rows, {}).save(folder / "calibration.safetensors")
    found = CosineCalibration.read(path).spread(torch.eye(3))
    return str(path), (spread / found).tolist()  # how many of these standard deviations are `spread`


def test_the_own_cosine_counts_up_to_a_natural_rise(tmp_path):
    """One standard deviation of red is `spread`: red may rise by `natural` of them, from 0.8, and then no more."""
    path, units = calibration_file(tmp_path, 0.1)
    arguments = case(source=((0.8, 0.6, 0.0),))  # own cosines: 0.8 -> 1.0 and 0.6 -> 0.8
    spread = CosineCalibration.read(path).spread(torch.eye(3))[:2].tolist()
    options = {"temperature": 0.5, "direct": 3.0, "natural": units[0], "calibration": path}
    limits = (0.8 + units[0] * spread[0], 0.6 + units[0] * spread[1])
    assert limits[0] == pytest.approx(0.9, abs=1e-3) and limits[0] < 1.0
    own = min(1.0, limits[0]), min(0.8, limits[1])
    expected = cross_entropy([[own[0], 0.0], [0.6, own[1]]], 0.5) - 3 * ((own[0] - 0.8) + (own[1] - 0.6)) / 2
    assert loss("clip_contrastive", **options)(*arguments).item() == pytest.approx(expected, rel=1e-4)
    relative = loss("clip_contrastive", relative=True, **options)(*arguments).item()
    rises = [[own[0] - 0.8, -0.6], [0.6 - 0.8, own[1] - 0.6]]
    direct = 3 * ((own[0] - 0.8) + (own[1] - 0.6)) / 2
    assert relative == pytest.approx(cross_entropy(rises, 0.5) - direct, rel=1e-4)


def test_below_the_natural_rise_nothing_changes_and_above_it_the_own_cosine_has_no_gradient(tmp_path):
    path, units = calibration_file(tmp_path, 0.1)

    def gradient(own, **options):
        """Of the loss, by the first edit's picture; that picture is `own` red."""
        source, edit, condition = case(
            source=((0.3, 0.0, (1 - 0.3**2) ** 0.5),),
            edits=((own, 0.0, (1 - own**2) ** 0.5), (0.0, 0.05, (1 - 0.05**2) ** 0.5)),
        )
        image = edit.image.clone().requires_grad_()
        value = loss("clip_contrastive", temperature=0.5, direct=1.0, **options)(
            source, edit.with_(image=image), condition
        )
        value.backward()
        return value, image.grad[0, :, 0, 0]

    wide = {"natural": 100.0, "calibration": path}
    narrow = {"natural": units[0], "calibration": path}  # red may rise by 0.1
    plain, below, limited = gradient(0.35), gradient(0.35, **wide), gradient(0.35, **narrow)
    for other in (below, limited):
        assert torch.equal(plain[0], other[0]) and torch.equal(plain[1], other[1])
    above, further = gradient(0.6, **narrow), gradient(0.9, **narrow)
    assert above[0].item() == pytest.approx(further[0].item(), abs=1e-5), "no reward for more"
    assert gradient(0.6)[0] > gradient(0.9)[0] + 0.1, "without the limit there is one"
    assert above[1][0].abs() < 1e-6 < 1e-3 < gradient(0.6)[1].abs().max()


def test_a_natural_limit_needs_a_calibration():
    with pytest.raises(ValueError, match="options.natural needs a calibration; give the file that scripts/calibrate"):
        loss("clip_contrastive", natural=2.0)
    assert loss("clip_contrastive").calibration is None


def test_negatives_are_the_prompts_of_the_same_image():
    two = case(
        source=((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)),
        edits=((1.0, 0.0, 0.0), (0.6, 0.8, 0.0), (0.0, 1.0, 0.0), (0.0, 0.6, 0.8)),
        h=((1.0, 0, 0), (0, 1.0, 0), (0, 1.0, 0), (0, 0, 1.0)),
    )
    by_hand = [cross_entropy([[1.0, 0.0], [0.6, 0.8]], 0.5), cross_entropy([[1.0, 0.0], [0.6, 0.8]], 0.5)]
    assert loss("clip_contrastive", temperature=0.5)(*two).item() == pytest.approx(sum(by_hand) / 2, rel=1e-5)


def test_one_prompt_is_refused():
    with pytest.raises(ValueError, match="exactly zero; use at least 2 prompts"):
        loss("clip_contrastive")(*case(edits=((1.0, 0.0, 0.0),), h=((1.0, 0, 0),)))


def test_views_keep_a_source_that_was_not_changed_at_no_rise():
    same = ((0.6, 0.8, 0.0),) * 2
    source, edit, condition = case(source=same[:1], edits=same)
    speckle = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    source, edit = source.with_(image=source.image + speckle), edit.with_(image=edit.image + speckle)
    torch.manual_seed(0)
    value = loss("clip_contrastive", relative=True, direct=1.0, views=3)(source, edit, condition)
    assert value.item() == pytest.approx(math.log(2), abs=1e-5)


def test_views_are_shared_in_a_group_differ_between_groups_and_follow_the_seed():
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).expand(4, -1, -1, -1)

    def look(seed):
        torch.manual_seed(seed)
        return shared_view(images, groups=2, low_pass=False, noise=True)

    seen = look(3)
    assert torch.equal(seen[0], seen[1]) and torch.equal(seen[2], seen[3]) and not torch.equal(seen[0], seen[2])
    assert torch.equal(seen, look(3)) and not torch.equal(seen, look(4))


def regions_case():
    """Two edits with three regions of four, and one that stays empty: the means are easy to see."""
    attention = torch.tensor([[0.9, 0.7, 0.2, 0.4], [1.0, 1.0, 0.8, 0.6]]).view(2, 1, 2, 2)
    labels = torch.tensor([[0, 0, 2, 2], [0, 1, 2, 2]]).view(2, 2, 2)
    mean = torch.tensor([[0.8, 0.8, 0.3, 0.3], [1.0, 1.0, 0.7, 0.7]]).view(2, 1, 2, 2)
    return case(attention=attention, regions=labels, region_attention=mean, num_regions=4)


def test_hinge_adds_up_what_regions_exceed_the_margin_by():
    value = loss("region_hinge", margin=0.5)(*regions_case())
    assert value.item() == pytest.approx(((0.8 - 0.5) + (1 - 0.5) + (1 - 0.5) + (0.7 - 0.5)) / 2, rel=1e-6)
    assert loss("region_hinge", margin=0.0)(*regions_case()).item() == pytest.approx((0.8 + 0.3 + 1 + 1 + 0.7) / 2)
    below = loss("region_hinge", margin=-1.0)(*regions_case()).item()
    assert below == pytest.approx((0.8 + 0.3 + 1 + 1 + 0.7 + 5) / 2), "regions without pixels must be left out"


def test_hinge_prices_area_by_the_share_of_the_image():
    value = loss("region_hinge", margin=0.5, area=2.0)(*regions_case())
    first = 0.3 * (1 + 2 * 4 * 2 / 4)
    second = 0.5 * (1 + 2 * 4 * 1 / 4) * 2 + 0.2 * (1 + 2 * 4 * 2 / 4)
    assert value.item() == pytest.approx((first + second) / 2, rel=1e-6)


def test_variance_is_the_mean_square_distance_to_the_region_mean():
    squares = 2 * 0.1**2 + 2 * 0.1**2 + 0 + 0 + 2 * 0.1**2
    assert loss("region_variance")(*regions_case()).item() == pytest.approx(squares / 8, rel=1e-5)


def test_variance_as_printed_and_as_released_differ_in_the_gradient_of_the_mean():
    source, edit, condition = regions_case()
    a, mean = edit.attention.clone().requires_grad_(), edit.region_attention.clone().requires_grad_()
    edit = edit.with_(attention=a, region_attention=mean)
    grads = torch.autograd.grad(loss("region_variance")(source, edit, condition), [a, mean], allow_unused=True)
    assert grads[1] is None and torch.allclose(grads[0], 2 * (a - mean) / 8)
    printed = torch.autograd.grad(loss("region_variance", detach=False)(source, edit, condition), mean)[0]
    assert torch.allclose(printed, -2 * (a - mean) / 8)


def test_style_delta_is_the_mean_length_or_the_sum_of_squares():
    shift = torch.tensor([[3.0, 4.0, 0.0], [1.0, 2.0, 2.0]])
    assert loss("style_delta")(*case(shift=shift)).item() == pytest.approx(12 / 6)
    assert loss("style_delta", squared=True)(*case(shift=shift)).item() == pytest.approx((25 + 9) / 2)


def test_unasked_weighs_each_anchor_by_how_little_the_prompt_is_about_it():
    # Prompt 1 is 'red': that anchor is exempt. Prompt 2 is 0.6 red and 0.8 green: at exempt 1 they count 0.4 and 0.2.
    source, edit, condition = case(h=((1.0, 0, 0), (0.6, 0.8, 0)))
    value = loss("unasked", anchors=["red", "green", "blue"], exempt=1.0)(source, edit, condition)
    first = [0 * 1.0**2, 1 * 0.0**2, 1 * 1.0**2]
    second = [0.4 * 0.6**2, 0.2 * 0.8**2, 1 * 1.0**2]
    assert value.item() == pytest.approx(sum(first + second) / 6, rel=1e-5)
    assert loss("unasked", anchors=["blue"], exempt=0.3)(*case(edits=((0.0, 0.0, 1.0),) * 2)).item() == 0


@pytest.fixture
def no_download(monkeypatch):
    """VGG16 with random weights in place of the downloaded ones."""
    monkeypatch.setattr(vgg.VGG16, "load", classmethod(random_vgg))
    monkeypatch.setattr(arcface.ArcFace, "load", toy.ColourIdentity)


def test_perceptual_is_the_mean_square_of_relu2_2(no_download):
    draw = torch.Generator().manual_seed(1)
    a, b = torch.rand(1, 3, 32, 32, generator=draw) * 2 - 1, torch.rand(2, 3, 32, 32, generator=draw) * 2 - 1
    source, edit, condition = case()
    value = loss("perceptual", size=16)(source.with_(image=a), edit.with_(image=b), condition)
    net, small = random_vgg(), lambda x: F.avg_pool2d(x, 2)

    def relu2_2(x):
        x = F.max_pool2d(F.relu(net.conv1(F.relu(net.conv0(x)))), 2)
        return F.relu(net.conv3(F.relu(net.conv2(x))))

    by_hand = (relu2_2(small(b)) - relu2_2(small(a))).square().mean()
    assert value.item() == pytest.approx(by_hand.item(), rel=1e-5)
    same = loss("perceptual", size=16)(source.with_(image=a), edit.with_(image=a.expand(2, -1, -1, -1)), condition)
    assert same.item() < 1e-12 < by_hand


def test_named_regions_are_on_for_what_the_words_name_and_off_for_the_rest():
    labels = torch.tensor([[[0, 0], [1, 2]]]).expand(2, -1, -1)  # hair twice, lip and background once
    attention = torch.tensor([[0.9, 0.5], [0.4, 0.2]]).expand(2, 1, 2, 2)
    fields = {"attention": attention, "regions": labels, "num_regions": 3}
    source, edit, condition = case(**fields, region_shares=toy.shares("hair", "u_lip", "background"))
    condition = replace(condition, prompts=("Blond hair", "someone else"))
    inside, outside = -(math.log(0.9) + math.log(0.5)) / 2, -(math.log(0.6) + math.log(0.8)) / 2
    assert loss("named_regions")(source, edit, condition).item() == pytest.approx((inside + outside) / 2, rel=1e-4)
    value = loss("named_regions", inside=0.0)(source, edit, condition)
    assert value.item() == pytest.approx(outside / 2, rel=1e-4)
    condition = replace(condition, prompts=("someone", "something"))
    assert loss("named_regions")(source, edit, condition).item() == 0, "no part is named"
    condition = replace(condition, prompts=("a big smile", "someone"))
    smile = -math.log(0.4) - ((math.log(0.1) + math.log(0.5)) / 2 + math.log(0.8)) / 2  # each region weighs the same
    assert loss("named_regions")(source, edit, condition).item() == pytest.approx(smile / 2, rel=1e-4)


def test_named_regions_asks_for_names():
    source, edit, condition = case(attention=torch.ones(2, 1, 2, 2), regions=torch.zeros(2, 2, 2).long(), num_regions=1)
    with pytest.raises(ValueError, match="run scripts/cluster.py"):
        loss("named_regions")(source, edit, condition)


@pytest.mark.parametrize(
    ("prompt", "must", "may"),
    [
        ("curly blue hair", "hair", "ears neck"),
        ("a woman with bangs", "hair", "forehead brows"),
        ("She wears red lipstick", "lips", "mouth"),
        ("Bushy eyebrows and a smile", "brows mouth jaw apples", "sockets cheeks nose"),
        ("a mustache", "mouth jaw", ""),
        ("a moustache", "mouth jaw", ""),
        ("an open mouth", "mouth jaw", "jaw"),
        ("rosy cheeks", "cheeks", "nose jaw"),
        ("eyeglasses", "eyes sockets brows glasses temples nose apples", "cheeks ears"),
        ("a chair", None, None),  # no hair in it
        ("an old man with a beard", "face hair jaw", "mouth cheeks neck ears"),
        ("a man", "face hair", "neck ears"),
        ("a person", None, None),
    ],
)
def test_words_name_parts(prompt, must, may):
    parts = named_parts(prompt)
    assert parts == (None if must is None else NamedParts(frozenset(must.split()), frozenset(may.split())))


def test_every_part_that_a_word_names_is_known():
    for entry in (*WORDS, PERSON):
        assert all(part_ids(part) for part in entry.parts().must | entry.parts().may)


def test_clip_distance_is_one_minus_the_cosine_of_edit_and_prompt():
    assert loss("clip_distance")(*case()).item() == pytest.approx((0 + 0.2) / 2)
    assert loss("clip_distance", views=1)(*case()).item() == pytest.approx((0 + 0.2) / 2, abs=1e-5)
    seen = []
    for _ in range(2):
        torch.manual_seed(3)
        seen.append(loss("clip_distance", views=2)(*case()).item())
    assert seen[0] == seen[1] != pytest.approx(0.1, abs=1e-5), "the second view has noise"


def test_total_variation_is_the_sum_of_steps_between_neighbours_per_cell():
    attention = torch.tensor([[[0.0, 1.0], [0.5, 0.5]], [[0.3, 0.3], [0.3, 0.3]]])[:, None]
    value = loss("total_variation")(*case(attention=attention))
    assert value.item() == pytest.approx(((0.5 + 0.5) + (1 + 0)) / 4 / 2)


def test_attention_area_is_the_mean_and_the_smoothness_the_root_mean_squares_of_steps():
    attention = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]])[:, None].expand(2, -1, -1, -1)
    assert loss("attention_area", smoothness=0.0)(*case(attention=attention)).item() == pytest.approx(0.5)
    expected = 0.5 + 2 * (math.sqrt(0.25) + math.sqrt(0.5))
    assert loss("attention_area", smoothness=2.0)(*case(attention=attention)).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["total_variation", "attention_area"])
def test_what_needs_an_attention_says_so(name):
    with pytest.raises(
        ValueError, match=f"{name} needs an attention, which this method lacks; set losses.{name}.weight=0"
    ):
        loss(name)(*case())


def test_a_collapsed_attention_is_warned_of_by_the_loss_that_makes_it_small():
    figures, area = {"mask": 0.0, "attention": 0.1}, LOSSES.get("attention_area")
    assert not area.warnings(figures, 1) and not area.warnings(figures | {"mask": 0.5, "losses.attention_area": 1.0}, 1)
    assert "lower the attention_area weight" in area.warnings(figures | {"losses.attention_area": 1.0}, 1)[0]


def test_identity_is_one_minus_the_cosine_of_the_faces(no_download):
    value = loss("identity")(*case(source=((1.0, 0.0, 0.0),)))
    assert value.item() == pytest.approx((0 + 0.4) / 2)
    assert loss("identity")(*case()).item() == pytest.approx(1.0)


REACHES = {
    "total_variation": {"attention"},
    "clip_contrastive": {"mapper", "attention"},
    "perceptual": {"mapper", "attention"},
    "unasked": {"mapper", "attention"},
    "named_regions": {"attention"},
    "region_hinge": {"attention"},
    "region_variance": {"attention"},
    "style_delta": {"mapper"},
}


@pytest.mark.parametrize("mapper", toy.MAPPER_NAMES)
@pytest.mark.parametrize("name", REACHES)
def test_each_loss_reaches_what_it_claims_and_nothing_else(name, mapper, no_download):
    method = toy.method(mapping=toy.mapper(mapper))
    source, condition = toy.sources(), toy.condition()
    options = {"size": 16} if name == "perceptual" else {"margin": 0.0} if name == "region_hinge" else {}
    value = loss(name, toy.encoder(), **options)(source, method(source, condition), condition)
    named = dict(method.named_parameters())
    grads = dict(zip(named, torch.autograd.grad(value, list(named.values()), allow_unused=True), strict=True))
    reached = {key.split(".")[0] for key, grad in grads.items() if grad is not None and grad.abs().max() > 0}
    assert reached == REACHES[name]
    for part in reached:
        idle = [key for key, grad in grads.items() if key.startswith(part) and (grad is None or not grad.any())]
        assert all("noise_strength" in key for key in idle), f"{name} does not reach {idle}"


def test_every_weight_and_option_is_checked():
    with pytest.raises(ValueError, match="unknown loss 'clip_contrastiv'; did you mean 'clip_contrastive'"):
        LOSSES.get("clip_contrastiv")
    with pytest.raises(ValueError, match="losses.region_hinge.options.margins'; did you mean 'margin'"):
        loss("region_hinge", margins=1)
    with pytest.raises(ValueError, match="weight must be float"):
        build(LossConfig, {"weight": "much"})


@pytest.mark.parametrize("ramp", [(0.5, 0.2), (0.1,), (-0.1, 0.5), (0.5, 1.5), (float("nan"), 0.5)])
def test_a_ramp_that_makes_no_sense_is_refused(ramp):
    with pytest.raises(ValueError, match="two shares of the run"):
        LossConfig(1.0, ramp)


def test_ramp_grows_linearly_between_its_ends():
    config = LossConfig(0.8, (0.15, 0.25))
    assert [config.at(t) for t in (0.0, 0.15, 0.25, 1.0)] == [0, 0, 0.8, 0.8]
    assert config.at(0.2) == pytest.approx(0.4)
    assert LossConfig(0.8).at(0.0) == 0.8
    assert LossConfig(0.8, (0.3, 0.3)).at(0.29) == 0 and LossConfig(0.8, (0.3, 0.3)).at(0.3) == 0.8
