"""StyleCLIP's three methods: each equation on a case that can be worked out by hand, what trains, and the commands."""

import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.commands import edit as edits
from where2edit.editing.latent_mapper import code_group
from where2edit.editor.build import build_encoder, build_frozen
from where2edit.editor.profile import load_profile
from where2edit.evaluation.evaluate import provenance_of
from where2edit.evaluation.networks import MetricNetworks
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.protocols import Row
from where2edit.evaluation.report import origin
from where2edit.evaluation.rows import RowBuilder
from where2edit.evaluation.samples import SamplingPlan
from where2edit.methods import METHODS, instance_optimisation, styleclip_global, styleclip_optimization
from where2edit.methods.base import MethodConfig
from where2edit.training.losses.base import LossConfig

ROOT = toy.ROOT
STEPS = 8


def built(name, resolution=8, frozen=None, **options):
    torch.manual_seed(0)
    return METHODS.get(name)(frozen or toy.frozen(resolution), MethodConfig(name, options))


def optimization(monkeypatch, identity=0.0, **options):
    """styleclip-optimization with the toy encoder and, in place of ArcFace, the colours of parts of the picture."""
    monkeypatch.setattr(styleclip_optimization.ArcFace, "load", toy.ColourIdentity)
    method = built("styleclip-optimization", identity=identity, **options)
    method.precompute(toy.encoder())
    return method


def test_s1_the_objective_is_the_sum_of_three_terms(monkeypatch):
    """The picture is the first two codes, the encoder takes it as it is, and so does what stands in for ArcFace."""

    class Unit(torch.nn.Module):
        def forward(self, image):
            return F.normalize(image, dim=1)

    method = optimization(monkeypatch, identity=0.5, l2=0.1)
    method._encoder, method._identity = (SimpleNamespace(image=lambda image: image),), (Unit(),)
    start = torch.tensor([[3.0, 4.0]])
    monkeypatch.setattr(
        instance_optimisation, "seen", lambda generator, source, added, preview: start + added[:, 0, :2]
    )
    source, condition = toy.sources((0,), 8), SimpleNamespace(h=torch.tensor([[0.0, 2.0]]))
    added = torch.zeros_like(source.w.contiguous())
    assert method.objective(source, condition, added).item() == pytest.approx(1 - 0.8)  # cos((3,4), (0,2)) = 0.8
    added[0, 0, :2], added[0, 1, 0] = torch.tensor([-3.0, 0.0]), 2.0  # to (0, 4), and 9 + 4 of squares
    assert method.objective(source, condition, added).item() == pytest.approx(0 + 0.5 * (1 - 0.8) + 0.1 * 13, rel=1e-5)


def test_s1_the_optimum_has_a_lower_objective_than_the_face(monkeypatch):
    method, source = optimization(monkeypatch, identity=0.005, steps=3), toy.sources((0,), 8)
    condition = toy.condition(per_source=1, strength=1.0)
    added = method.optimiser.added(source, condition, method.objective)
    before, after = (method.objective(source, condition, x).item() for x in (torch.zeros_like(added), added))
    assert after < before - 0.01 and added.any()


def test_s2_the_strength_scales_the_change_and_optimises_once(monkeypatch):
    method, source = optimization(monkeypatch), toy.sources((0, 1), 8)
    added, asked = torch.randn(2, source.w.shape[1], 512, generator=torch.Generator().manual_seed(3)), []
    monkeypatch.setattr(method.optimiser, "added", lambda *given: asked.append(given) or added)
    with torch.no_grad():
        edit = method.propose(source, toy.condition(n=2, per_source=1, strength=-0.5))
        expected = toy.generator(8).styles(source.w - 0.5 * added)
    styles = edit.styles | edit.tail.styles
    assert all(torch.allclose(style, expected[site], atol=1e-5) for site, style in styles.items())
    assert torch.allclose(edit.shift, 0.5 * added.norm(dim=2)) and edit.reversed.all() and len(asked) == 1


@pytest.mark.parametrize("left_out", ["coarse", "medium", "fine"])
def test_s3_a_group_that_is_left_out_keeps_its_codes(left_out):
    """On 64 px there are codes of all three groups."""
    method, source = built("styleclip-mapper", 64, **{left_out: False}), toy.sources((0,), 64)
    with torch.no_grad():
        styles, shift = method.styles(source, toy.condition(per_source=1, strength=1.0))
    group = ("coarse", "medium", "fine").index(left_out)
    for site in toy.generator(64).sites:
        assert torch.equal(styles[site.name], source.styles[site.name]) == (code_group(site) == group), site.name
    assert len(method.latent_mapper.networks) == 2 and shift.shape[1] == len(method.latent_mapper.group)


def test_s3_a_mapper_of_no_group_is_refused():
    with pytest.raises(ValueError, match="without coarse, medium and fine codes changes nothing; leave one"):
        MethodConfig("styleclip-mapper", {"coarse": False, "medium": False, "fine": False})


def test_s4_a_short_training_lowers_the_loss_and_moves_its_own_parameters_only(tmp_path):
    method = built("styleclip-mapper", layers=2)
    losses = {name: LossConfig(weight) for name, weight in {"clip_distance": 1.0, "style_delta": 0.02}.items()}
    toy.check_short_training(method, losses, tmp_path, STEPS, lr=0.01, strength=1.0)


@pytest.fixture
def direction():
    """styleclip-global whose embeddings have two numbers, and of whose channels three have a relevance."""
    method = built("styleclip-global", beta=0.5, reach=10.0)
    method.moves = torch.zeros(512 * 3, 2)
    method.moves[3], method.moves[512], method.moves[1100] = torch.tensor([[0.0, 1.0], [0.8, -0.6], [1.0, 0.0]])
    method._known = {"a face": torch.tensor([0.0, 0.0]), "a beard": torch.tensor([0.0, 3.0])}
    method._known |= {"bangs": torch.tensor([0.6, 0.8])}
    return method


def test_s5_the_text_direction_is_a_difference_of_means_over_templates():
    method = built("styleclip-global", templates=("{}", "a photo of {}"), neutral="a face")
    method._encoder, method.moves = (toy.encoder(),), torch.eye(32)
    means = []
    for text in ("a beard", "a face"):
        each = F.normalize(toy.encoder().text([text, f"a photo of {text}"]), dim=1)
        means.append(F.normalize(each.mean(0), dim=0))
    expected = F.normalize(means[0] - means[1], dim=0)
    assert torch.allclose(method.relevance(toy.condition(["a beard"], per_source=1))[0], expected, atol=1e-5)


def test_s6_to_s8_channels_below_beta_stay_and_the_furthest_goes_as_far_as_reach(direction):
    source = toy.sources((0,), 8)
    condition = toy.condition(["a beard", "bangs"], per_source=2, strength=0.5)
    with torch.no_grad():
        edit = direction.propose(source, condition)
    moved = {site: edit.styles[site] - source.styles[site] for site in direction.spread}
    # t of "a beard" is (0, 1): relevances 1, -0.6 and 0; of "bangs" (0.6, 0.8): 0.8, 0 and 0.6.
    steps = {("4.conv1", 3): (1.0, 1.0), ("8.conv0", 0): (-0.6, 0.0), ("8.conv1", 76): (0.0, 0.75)}
    for (site, channel), expected in steps.items():
        unit = 0.5 * 10.0 * direction.spread[site][channel]
        assert torch.allclose(moved[site][:, channel], unit * torch.tensor(expected), rtol=1e-3), site
        assert not torch.cat([moved[site][:, :channel], moved[site][:, channel + 1 :]], 1).any()
    assert torch.allclose(edit.shift, torch.tensor([[5.0, 3.0, 0.0], [5.0, 0.0, 3.75]]))


def test_what_moves_no_channel_is_refused_before_a_face_is_made(direction):
    condition = toy.condition(["bangs"], per_source=1)
    direction.check(condition)
    direction.options = MethodConfig("styleclip-global", {"beta": 0.9}).resolved()
    with pytest.raises(ValueError, match="no channel is as relevant to 'bangs' as .*beta=0.9 asks.* 0.800"):
        direction.check(condition)
    where = toy.conditions().of(["bangs"], 1.0, where=["a beard"])
    with pytest.raises(ValueError, match="knows no place; leave out --where and --reference"):
        direction.check(where)
    with pytest.raises(ValueError, match="must be sentences with one {} each"):
        MethodConfig("styleclip-global", {"templates": ["a photo"]})


LEARNT = {"clip_distance", "style_delta", "identity"}


@pytest.mark.parametrize("suffix", ["", "_ffhq"])
@pytest.mark.parametrize("name", ["optimization", "mapper", "global"])
def test_their_profiles_train_what_learns_and_nothing_else(name, suffix):
    profile = load_profile(ROOT / f"configs/methods/styleclip_{name}{suffix}.yaml")
    assert profile.method.name == f"styleclip-{name}" and profile.method.weights is None
    assert not profile.natural_strength.calibration
    used = {each for each, entry in profile.losses.items() if entry.weight}
    assert name != "mapper" or (used == LEARNT and profile.training.mode == "one_prompt")
    assert METHODS.get(profile.method.name).needs_weights == (name == "mapper")


def test_without_weights_a_method_that_learns_nothing_edits_without_a_warning(monkeypatch, capsys, tmp_path):
    """scripts/edit.py on the toy profile."""
    options = ["method.options.steps=1", "method.options.identity=0", "method.strength=1"]
    arguments = ["--config", str(ROOT / "configs/toy.yaml"), "--prompt", "a beard", "--seed", "3"]
    changed = [*arguments, "--out", str(tmp_path), "method.name=styleclip-optimization", *options]
    monkeypatch.setattr(sys, "argv", ["edit.py", *changed])
    assert edits.main("") == 0
    said = capsys.readouterr()
    assert "a beard: cosine" in said.out and "this method is not local" in said.out and "untrained" not in said.err
    assert list(tmp_path.glob("seed0003-a-beard-*step1.png"))


def test_a_row_of_a_table_needs_no_weights_and_is_precomputed(monkeypatch):
    """Beside a trained method: the row reads neither its weights nor its options, and has what it measured."""
    measured = torch.ones(2560, 32)
    monkeypatch.setattr(styleclip_global, "channel_relevance", lambda *given: measured)
    profile = load_profile(ROOT / "configs/toy.yaml", ["method.weights=no-such-editor.safetensors"])
    encoder = build_encoder(profile)
    networks = MetricNetworks({"train_encoder": encoder}, "cpu")
    builder = RowBuilder(profile, build_frozen(profile, encoder), networks, EvaluationOptions())
    row = builder.row(Row("directions", method="styleclip-global"), SamplingPlan(1))
    assert torch.equal(row.method.moves, F.normalize(measured, dim=1)) and "" in row.depends_on


def test_a_report_says_that_no_weights_are_needed():
    profile = load_profile(ROOT / "configs/methods/styleclip_global.yaml")
    assert "editor weights not needed, commit" in origin(provenance_of(profile, None))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["styleclip-optimization", "styleclip-mapper", "styleclip-global"])
def test_they_run_on_the_paper_s_generator(name, monkeypatch):
    """StyleGAN2 of 64 px with random weights: shape, the strength 0, and gradients where anything is learnt."""
    monkeypatch.setattr(styleclip_optimization.ArcFace, "load", toy.ColourIdentity)
    method, source = toy.method(name, resolution=64), toy.sources((0,), 64)
    edit = method(source, toy.condition(per_source=1, strength=1.0))
    assert edit.image.shape == (1, 3, 64, 64) and not method.local and not torch.equal(edit.image, source.image)
    with torch.no_grad():
        none = method(source, toy.condition(per_source=1, strength=0.0))
    assert torch.equal(none.image, source.image)
    if name == "styleclip-mapper":
        edit.image.square().mean().backward()
        assert all(p.grad is not None and p.grad.any() for p in method.parameters())
