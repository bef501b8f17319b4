"""CoralStyleCLIP: each equation on a case that can be worked out by hand, its four variants, and what trains.

Eq. 1, and how far it reaches, stand in tests/editing/test_layered_trunk.py.
"""

import math
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy
from PIL import Image

from where2edit.commands.train import build_trainer, progress_sheet
from where2edit.core import config as configs
from where2edit.core.records import Edit, LayerMasks, Source
from where2edit.editing import region_selectors
from where2edit.editing.certificate import certify, halo
from where2edit.editing.latent_mapper import GlobalDirection, LatentMapper
from where2edit.editing.region_selectors import AttentionNetworks, SegmentSelection
from where2edit.editor.editor import Editor
from where2edit.editor.layer_sheets import CELL
from where2edit.editor.profile import load_profile
from where2edit.editor.recipes import Recipe, RecipeStep
from where2edit.editor.results import run_recipe
from where2edit.generators.base import Site
from where2edit.methods import METHODS
from where2edit.methods.base import MethodConfig
from where2edit.methods.prompt_models import PromptModels
from where2edit.training.losses.base import LossConfig, build_loss
from where2edit.training.losses.clip_distance import ClipDistance, ClipDistanceOptions

ROOT = toy.ROOT
NAME = "coralstyleclip"
SELECTORS, EDITS = ("attention_network", "segment_selection"), ("latent_mapper", "global_direction")
VARIANTS = [(selector, latent) for selector in SELECTORS for latent in EDITS]
variants = pytest.mark.parametrize("selector, latent", VARIANTS)
SPARSE = {"layers": 1, "channels": 4}  # options that only make it small


def coral(frozen=None, seed=0, **options):
    torch.manual_seed(seed)
    return METHODS.get(NAME)(frozen or toy.frozen(), MethodConfig(NAME, {**SPARSE, **options}))


@cache
def half_open(selector, latent, spill=False):
    """A variant for use whose threshold lies between its own values, with a matrix that is not of one value."""
    method = coral(region_selector=selector, latent_edit=latent, spill=spill, scale=1.0).eval()
    with torch.no_grad():
        if selector == "segment_selection":
            method.selector.logits.normal_()
        a = torch.cat([x.flatten() for x in proposed(method).by_layer.attention.values()])
    method.frozen = replace(method.frozen, blending=replace(method.frozen.blending, threshold=a.median().item()))
    return method


def proposed(method, strength=0.5, **changes):
    condition = replace(toy.condition(n=2, per_source=2, strength=strength), **changes)
    with torch.no_grad():
        return method.propose(toy.sources((0, 1)), condition)


def values(**by_layer):
    """An edit with these values of the layers' attention, without anything that is not read."""
    attention = {name: torch.tensor(each)[None, None] for name, each in by_layer.items()}
    return Edit(styles={}, mask=torch.ones(1, 1, 2, 2), by_layer=LayerMasks(attention, attention, torch.ones(1)))


def loss(name, edit, **options):
    built = build_loss(name, LossConfig(1.0, options=options), toy.encoder())
    return built(toy.sources(), edit, toy.condition(per_source=1)).item()


def test_eq_2_is_the_mean_over_the_edit_and_the_edit_under_masks_of_ones():
    encoder = SimpleNamespace(image=lambda images: images.mean((2, 3)))  # a picture is its mean colour
    red, green = (torch.tensor(colour)[None, :, None, None].expand(1, 3, 4, 4) for colour in ((1.0, 0, 0), (0, 1.0, 0)))
    condition = SimpleNamespace(h=torch.tensor([[1.0, 0, 0]]))
    source = Source(torch.zeros(1, 1, 1), {}, {})
    edit = Edit(styles={}, mask=torch.ones(1, 1, 2, 2), image=red, unmasked_image=green)
    both, one = (ClipDistance(encoder, ClipDistanceOptions(unmasked=unmasked)) for unmasked in (True, False))
    assert both(source, edit, condition).item() == pytest.approx((0 + 1) / 2)
    assert one(source, edit, condition).item() == pytest.approx(0)
    with pytest.raises(ValueError, match="which this method lacks; set losses.clip_distance.options.unmasked=false"):
        both(source, edit.with_(unmasked_image=None), condition)


def test_eq_3_is_the_sum_of_the_matrix():
    e = torch.tensor([[0.5, 0.25], [1.0, 0.0]])
    edit = values(a=[[1.0]])
    edit = edit.with_(by_layer=replace(edit.by_layer, selection=e.expand(3, 2, 2)))
    assert loss("layer_area", edit) == pytest.approx(1.75)


def test_eq_4_divides_the_sum_of_each_layer_by_its_height():
    assert loss("layer_area", values(a=[[0.5, 0.5], [0.5, 0.5]], b=[[0.25] * 4] * 4)) == pytest.approx(2 / 2 + 4 / 4)


def test_eq_5_is_the_squared_differences_of_neighbours_of_every_layer():
    corner = [[0.0, 1.0], [0.0, 0.0]]  # down 0 and 1, across 1 and 0
    assert loss("layer_variation", values(a=corner, b=[[0.5, 0.5], [1.0, 1.0]])) == pytest.approx(2 + 2 * 0.25)


def test_a_method_that_blends_once_has_one_layer():
    edit = Edit(styles={}, mask=torch.ones(1, 1, 2, 2), attention=torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]]))
    assert loss("layer_area", edit) == pytest.approx(2 / 2)
    assert loss("layer_variation", edit) == pytest.approx(0.25 + 0.25 + 1)


def test_a_segment_is_selected_at_each_layer_by_the_matrix_and_brought_to_its_size():
    layers = (Site(2, "conv0", 1, 1, 1, 1), Site(1, "conv1", 1, 1, 1, 1))
    selector, labels = SegmentSelection(layers, 2, bias=0.0), torch.tensor([[[0, 0], [1, 1]]])
    assert torch.equal(selector.selection(), torch.full((2, 2), 0.5))
    masks = selector(labels, torch.tensor([[0.9, 0.5], [0.2, 0.6]]))
    assert torch.equal(masks["2.conv0"], torch.tensor([[[[0.9, 0.9], [0.2, 0.2]]]]))
    assert masks["1.conv1"].item() == pytest.approx(0.55)


def test_an_attention_network_reads_its_own_layer_through_relu_and_sigmoid():
    site = Site(2, "conv1", 1, 2, 1, 1)
    network = AttentionNetworks((site,), channels=2, bias=0.5)
    with torch.no_grad():
        network.first[0].weight.copy_(torch.eye(2) / network.first[0].gain)
        network.last[0].weight.copy_(torch.tensor([[2.0, -1.0]]) / network.last[0].gain)
    features = torch.tensor([[1.0, -1.0, 0.0, 2.0], [1.0, 1.0, -3.0, -1.0]]).view(1, 2, 2, 2)
    expected = torch.tensor([2.0 - 1, 0 - 1, 0, 4.0]) + 0.5
    assert torch.allclose(network({"2.conv1": features})["2.conv1"].flatten(), expected.sigmoid())


def test_the_last_layer_of_the_mapper_has_no_leaky_relu():
    generator = toy.generator()
    mapper = LatentMapper(generator, generator.upto("8.conv1"), 1, 1.0, scale=0.25, last_activation=False)
    mapper.networks[0][0].weight.data = torch.eye(512) / mapper.networks[0][0].gain
    w = torch.zeros(1, generator.num_w, 512)
    w[..., 0], w[..., 1] = 3.0, -3.0
    length = 3 / math.sqrt(18 / 512)  # PixelNorm
    assert torch.allclose(mapper(w)[1][0, :2], 0.25 * torch.tensor([length, -length]), rtol=1e-4)


def test_a_global_direction_is_the_same_for_every_face():
    generator = toy.generator()
    direction = GlobalDirection(generator, generator.upto("8.conv1"), scale=0.5)
    added = direction(torch.randn(3, generator.num_w, 512))
    assert list(added) == [0, 1, 2] and all(len(each) == 3 for each in added.values())
    assert all(torch.equal(added[code][row], 0.5 * direction.direction[code]) for code in added for row in range(3))


@variants
def test_the_codes_are_shifted_by_the_paper_s_alpha(selector, latent):
    method, source, generator = half_open(selector, latent), toy.sources((0, 1)), toy.generator()
    edit = proposed(method, strength=0.5)
    with torch.no_grad():
        added, w = method.latent_edit(source.w), source.w.clone()
        for code, each in added.items():
            w[:, code] += 1.5 * 0.5 * each
        expected = generator.styles(w)
    for site in generator.sites:
        own = (source.styles if site.rgb else expected)[site.name].repeat_interleave(2, 0)
        assert torch.allclose(edit.styles[site.name], own, atol=1e-5), site.name
    lengths = torch.stack([0.75 * each.norm(dim=1) for each in added.values()], 1).repeat_interleave(2, 0)
    assert torch.allclose(edit.shift, lengths)


@pytest.mark.parametrize("selector", SELECTORS)
def test_masks_are_soft_in_training_and_cut_at_the_threshold_in_use(selector):
    method = coral(region_selector=selector)
    trained, used = proposed(method.train()).by_layer, proposed(method.eval(), threshold=0.88).by_layer
    low = proposed(method, threshold=0.0).by_layer
    for name, a in used.attention.items():
        assert torch.equal(trained.masks[name], a) and torch.equal(low.masks[name], a)
    values = torch.cat([m.flatten() for m in used.masks.values()])
    assert ((values == 0) | (values >= 0.88)).all()
    cut = coral(region_selector=selector, threshold_in_training=True, bias=0.0).train()
    edit = cut.propose(toy.sources(), toy.condition(per_source=1))
    assert not any(m.any() for m in edit.by_layer.masks.values())
    sum(m.sum() for m in edit.by_layer.masks.values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in cut.selector.parameters()), "the gradient passes through"


@pytest.mark.parametrize(
    "selector, latent, spill",
    [(*VARIANTS[0], False), (*VARIANTS[3], True)]
    + [pytest.param(*each, spill, marks=pytest.mark.slow) for each in VARIANTS[1:3] for spill in (False, True)],
)
def test_every_variant_keeps_the_contracts_of_edits(selector, latent, spill):
    method, source = half_open(selector, latent, spill), toy.sources((0, 1)).repeat(2)
    edit, none = proposed(method), proposed(method, strength=0.0)
    closed, ones = torch.zeros_like(edit.mask), torch.ones_like(edit.mask)
    cell = F.pad(torch.ones(4, 1, 1, 1), (0, 15, 0, 15))
    with torch.no_grad():
        assert all(torch.equal(style, source.styles[name]) for name, style in none.styles.items())
        made = [method.render(source, edit.with_(mask=mask)).image for mask in (edit.mask, closed, ones, cell)]
        assert torch.equal(made[1], source.image)
        assert torch.equal(made[2], toy.generator().synthesis(edit.styles))
    reach = halo(method.frozen.generator, method.frozen.blend_site)
    for image, mask in ((made[0], edit.mask), (made[3], cell)):
        found = certify(source.image, image, mask, reach, method.local)
        assert all(each.promised and each.local and each.changed for each in found)


def test_the_face_parser_can_give_the_segments(monkeypatch):
    class Left:
        """In place of a face parser: hair on the left, skin on the right."""

        def labels(self, images):
            labels = torch.ones(len(images), 64, 64, dtype=torch.int64)
            labels[..., :32] = 17
            return labels

    monkeypatch.setattr(region_selectors, "_parser", lambda device: Left())
    method = coral(region_selector="segment_selection", segments="face_parser").eval()
    with torch.no_grad():
        method.selector.logits[17, 2] = 5.0
    mask = proposed(method, threshold=0.95).by_layer.masks["8.conv1"]
    assert (mask[..., :4] > 0.95).all() and not mask[..., 4:].any()
    assert method.selector.logits.shape == (19, 5) and len(list(method.selector.parameters())) == 1


def test_segments_need_regions():
    with pytest.raises(ValueError, match="selects among fitted regions; run scripts/cluster.py for this profile, or"):
        coral(replace(toy.frozen(), regions=None), region_selector="segment_selection")


def test_each_prompt_of_a_batch_has_the_masks_of_its_own_model():
    models = {prompt: coral(seed=seed).eval() for seed, prompt in enumerate(toy.PROMPTS[:2])}
    edit = proposed(PromptModels(models), prompts=(*models, *models))
    assert edit.by_layer.selection is None
    for row, model in enumerate([*models.values()] * 2):
        own = proposed(model).by_layer
        for name, m in own.masks.items():
            assert torch.allclose(edit.by_layer.masks[name][row], m[row], atol=1e-6)


STEPS = 6
LOSSES = {"clip_distance": 1.0, "style_delta": 0.0001, "layer_area": 0.005, "layer_variation": 0.005}


@pytest.mark.parametrize("selector, latent, lr", [(*VARIANTS[0], 0.02), (*VARIANTS[3], 0.1)])
def test_a_short_training_lowers_the_loss_and_moves_its_own_parameters_only(selector, latent, lr, tmp_path):
    method = coral(toy.frozen(resolution=8, blur=1), region_selector=selector, latent_edit=latent, scale=0.5)
    options = {"clip_distance": {"unmasked": True}, "style_delta": {"squared": True}}
    losses = {name: LossConfig(weight, options=options.get(name, {})) for name, weight in LOSSES.items()}
    toy.check_short_training(method, losses, tmp_path, STEPS, lr=lr, strength=2 / 3)


def test_the_progress_sheet_has_a_second_one_of_layers_and_regions(tmp_path):
    profile = load_profile(ROOT / "configs/toy.yaml")
    with torch.no_grad():
        progress_sheet(coral().eval(), toy.conditions(), profile, tmp_path / "sheet.png", ["a beard", "bangs"])
    assert {path.name for path in tmp_path.iterdir()} == {"sheet.png", "sheet-layers.png"}


def test_an_edit_leaves_a_sheet_of_its_layers(tmp_path):
    """A row for each edit: source, edit, and a column for each of the layers up to the blend site."""
    changes = [f"method.name={NAME}", "training.mode=one_prompt", "blending.threshold=0.5"]
    changes += [f"method.options.{name}={value}" for name, value in SPARSE.items()]
    profile = load_profile(ROOT / "configs/toy.yaml", changes)
    steps = (RecipeStep("a beard"), RecipeStep("bangs"))
    editor, recipe = Editor(profile, "cpu"), Recipe(configs.as_dict(profile), "", steps, seed=1)
    *_, sheet, layers, written = run_recipe(editor, recipe, tmp_path)[0]
    assert [path.name.rsplit("-")[-1] for path in (sheet, layers)] == ["sheet.png", "layers.png"] and written.is_file()
    count = len(editor.method.selector(editor.source(1).features))
    width, height = Image.open(layers).size
    assert width // CELL == 2 + count and height // CELL == len(steps)


@pytest.mark.parametrize("name", [NAME, f"{NAME}_ffhq"])
def test_its_profiles_use_its_losses_and_nothing_of_the_method_of_the_paper(name):
    profile = load_profile(ROOT / f"configs/methods/{name}.yaml")
    assert (profile.method.name, profile.training.mode, profile.method.weights) == (NAME, "one_prompt", None)
    assert {each for each, entry in profile.losses.items() if entry.weight} == {*LOSSES, "identity"}
    assert profile.losses["clip_distance"].options["unmasked"] and profile.blending.threshold == 0.85
    assert not profile.natural_strength.calibration and not profile.reads_region_shares
    with pytest.raises(ValueError, match="unknown key 'method.options.channel'; did you mean 'channels'"):
        load_profile(ROOT / f"configs/methods/{name}.yaml", ["method.options.channel=3"])


@pytest.mark.slow
@variants
@pytest.mark.parametrize("spill", [False, True])
def test_on_the_paper_s_generator_nothing_leaks_and_every_parameter_has_a_gradient(selector, latent, spill):
    """StyleGAN2 of 128 px with random weights, blended at nine layers."""
    frozen = toy.frozen(resolution=128, blend="64.conv1", blur=1)
    method = coral(frozen, region_selector=selector, latent_edit=latent, spill=spill)
    source, condition = toy.sources((0,), 128), toy.condition(per_source=1, strength=1.0)
    edit = method(source, condition)
    (edit.image.square().mean() + edit.unmasked_image.square().mean()).backward()
    assert all(p.grad is not None and p.grad.any() for p in method.parameters())
    opened = {name: F.pad(m[..., :1, :1], (0, m.shape[-1] - 1) * 2) for name, m in edit.by_layer.masks.items()}
    opened = {name: m * (m.shape[-1] >= 32) for name, m in opened.items()}
    own = method._joined(opened, spill)
    with torch.no_grad():
        by_layer = LayerMasks(opened, opened, own)
        made = method.eval().render(source, edit.with_(mask=own, by_layer=by_layer))
    certificate = certify(source.image, made.image, own, halo(frozen.generator, "64.conv1"))[0]
    assert certificate.local and 0 < certificate.changed <= certificate.allowed_area < 0.5


@pytest.mark.slow
@variants
def test_the_default_profile_makes_a_step(selector, latent, tmp_path):
    switches = [f"method.options.region_selector={selector}", f"method.options.latent_edit={latent}"]
    profile = load_profile(ROOT / f"configs/methods/{NAME}.yaml", switches)
    run = build_trainer(profile, tmp_path, "one step", "cpu", None, True, ["a beard"])
    start = {name: p.detach().clone() for name, p in run.method.named_parameters()}
    run.step = 50  # past the warm-up
    found = run.train_step()
    assert {f"losses.{name}" for name in (*LOSSES, "identity")} <= set(found) and found["mask"] > 0
    assert all(not torch.equal(p, start[name]) for name, p in run.method.named_parameters())
