"""The paper's profile: released sizes and constants, its ablations, and one whole 1024 edit within 4 GiB on a CPU."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.core.records import Edit
from where2edit.core.registry import NoOptions
from where2edit.editing.attention.modulated import AttentionOptions, ModulatedAttention
from where2edit.editing.conditions import Conditions
from where2edit.editing.mappers.base import edited_sites
from where2edit.editing.mappers.stylespace import StyleSpaceMapper
from where2edit.editing.regions import RegionConfig, fit
from where2edit.editor.build import build_conditions
from where2edit.editor.profile import load_profile
from where2edit.evaluation.protocols import load
from where2edit.generators.stylegan2 import StyleGAN2
from where2edit.text_image.clip import Clip
from where2edit.training.losses.attention_area import AttentionArea, AttentionAreaOptions
from where2edit.training.prompts import PromptSampler

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
# Styles that carry the edit for a blend at each position of the released list (convolutions and RGB layers, the
# constant's position 0 left out), by the released lookup.
RELEASED_LOOKUP = (2, 2, 3, 5, 5, 6, 8, 8, 9, 11, 11, 12, 14, 14, 15, 17, 17, 18, 20, 20, 21, 23, 23, 24, 26, 26)


@pytest.fixture(scope="module")
def config_f():
    with torch.device("meta"):
        return StyleGAN2(1024, 2)


def numbers(module, *without):
    return sum(p.numel() for name, p in module.named_parameters() if not name.endswith(without or ("-",)))


def test_released_modules_have_the_released_parameters(config_f):
    sites = edited_sites(config_f, "64.conv1")
    with torch.device("meta"):
        mapper = StyleSpaceMapper(config_f, sites, 512, NoOptions())
        attention = ModulatedAttention(config_f, "64.conv1", 512, AttentionOptions())
    assert [site.name for site in sites if site.rgb] == [f"{r}.rgb" for r in (4, 8, 16, 32, 64)] and len(sites) == 14
    assert numbers(mapper) == 18_378_752
    parts = [numbers(part) for part in (mapper.text, mapper.fusion, mapper.style)]
    assert parts == [14 * 2 * 512 * 513, 14 * 512 * 1025, 14 * 512 * 513]
    affines = sum(numbers(conv.affine) for conv in (*attention.first, attention.last))
    assert (affines, numbers(attention) - affines - 1, attention.bias.numel()) == (3_414_528, 195_732, 1)
    assert len(attention.inputs) == 18 and attention.inputs[0] == "constant" and attention.last.weight.shape == (1, 576)
    assert not any(name.endswith("rgb") for name in attention.inputs) and attention.inputs[-1] == "1024.conv1"


def test_edited_styles_follow_the_released_lookup(config_f):
    counts = [len(edited_sites(config_f, site.name)) for site in config_f.sites]
    assert counts == list(RELEASED_LOOKUP)


def test_untrained_released_attention_edits_everything():
    torch.manual_seed(0)
    generator = toy.generator(16)
    attention = ModulatedAttention(generator, "16.conv1", 512, AttentionOptions())
    source = generator.source(generator.w(generator.sample_z([0])))
    a = attention(source.features, torch.randn(1, 512))
    assert a.min() > 0.98 and a.max() < 1


def test_attention_as_printed_has_no_bias_activation_or_constant():
    generator, h = toy.generator(16), torch.randn(2, 512, generator=torch.Generator().manual_seed(0))
    attention = ModulatedAttention(generator, "16.conv1", 512, AttentionOptions(styled=False, bias=0.0))
    assert "constant" not in attention.inputs and not any("noise" in name for name, _ in attention.named_parameters())
    attention.release()
    source = generator.source(generator.w(generator.sample_z([0, 1])))
    maps = []
    for name, conv in zip(attention.inputs, attention.first, strict=True):
        m = F.linear(h, conv.affine.weight / 512**0.5, conv.affine.bias)
        weight = conv.weight * m[:, None]
        weight = weight / (weight.square().sum(2, keepdim=True) + 1e-8 * weight.shape[2]).sqrt()
        y = torch.einsum("boc,bchw->bohw", weight, source.features[name])
        maps.append(F.interpolate(y, (16, 16)))
    x = torch.cat(maps, 1)
    affine = attention.last.affine
    weight = attention.last.weight * F.linear(h, affine.weight / 512**0.5, affine.bias)[:, None]
    weight = weight / (weight.square().sum(2, keepdim=True) + 1e-8 * weight.shape[2]).sqrt()
    expected = torch.sigmoid(torch.einsum("boc,bchw->bohw", weight, x))
    torch.testing.assert_close(attention(source.features, h), expected, rtol=1e-4, atol=1e-5)


def test_regions_without_positions_label_by_activations_alone():
    generator = toy.generator(16)
    regions = fit(generator, RegionConfig(k=3, samples=4, n_init=1, positions=False, impl="fast"), "16.conv1")
    features = generator.source(generator.w(generator.sample_z([7])), upto="16.conv1").features["16.conv1"]
    assert regions.centres.shape == (3, features.shape[1])
    cells = features[0].flatten(1).T
    expected = torch.cdist(cells.double(), regions.centres.double()).argmin(1).view(1, 16, 16)
    assert torch.equal(regions.label(features), expected)


def test_the_paper_profile_holds_the_released_constants():
    paper = load_profile(CONFIGS / "ffhq.yaml")
    assert (paper.method.strength, paper.generator.blend_site, paper.generator.truncation) == (0.1, "64.conv1", 0.7)
    assert paper.natural_strength.calibration is None, "the paper edits at one strength"
    assert (paper.blending.threshold, paper.blending.blur, paper.blending.sigma) == (0.8, 5, 1.1)
    assert paper.blending.straight_through and not paper.blending.binary
    regions = paper.regions
    assert (regions.k, regions.samples, regions.seed, regions.upsample, regions.n_init) == (20, 100, 42, 2, 10)
    # 8 processes leave 1/8 of the contrastive gradient: all other weights of the shipped command count eight times.
    shipped = {"region_hinge": 0.01, "region_variance": 0.03, "style_delta": 0.03, "perceptual": 0.1}
    weights = {name: loss.weight for name, loss in paper.losses.items()}
    assert weights == pytest.approx({"clip_contrastive": 1.0} | {name: 8 * value for name, value in shipped.items()})
    assert paper.losses["perceptual"].ramp == (0.05, 0.15) and paper.losses["region_hinge"].ramp == (0.15, 0.25)
    training = paper.training
    assert (training.steps, training.prompts, training.lr) == (10_000, 8, 0.01)
    assert (training.warmup, training.decay) == (0.05, 0.25)
    assert build_conditions(paper, toy.encoder()).raw and paper.data.distinct == 1


@pytest.mark.parametrize("name", ["no_attention", "no_clusters_small", "no_clusters_large"])
def test_an_ablation_differs_from_the_paper_in_its_method_and_losses_alone(name):
    paper, ablation = load_profile(CONFIGS / "ffhq.yaml"), load_profile(CONFIGS / f"ffhq_ablation_{name}.yaml")
    assert ablation.method.name == f"where2edit-{name.removesuffix('_small').removesuffix('_large').replace('_', '-')}"
    assert replace(ablation, method=paper.method, losses=paper.losses) == paper
    kept = {key for key, loss in ablation.losses.items() if loss.weight and key in paper.losses}
    assert kept == {"clip_contrastive", "style_delta", "perceptual"}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("no_attention", "W/O Attn"),
        ("no_clusters_small", "W/O Clus, small λ"),
        ("no_clusters_large", "W/O Clus, large λ"),
    ],
)
def test_a_row_of_table_3_is_the_ablation_of_that_name(name, label):
    (row,) = (row for row in load("table3").rows if row.label == label)
    paper, ablation = (
        load_profile(CONFIGS / "ffhq.yaml", row.overrides),
        load_profile(f"configs/ffhq_ablation_{name}.yaml"),
    )
    losses = [{key: loss for key, loss in each.losses.items() if loss.weight} for each in (paper, ablation)]
    assert losses[0] == losses[1] and replace(paper, losses=ablation.losses) == ablation


def test_every_profile_says_command_time_and_result():
    for path in CONFIGS.glob("*.yaml"):
        head = path.read_text().split("\nname:")[0].split("\nbase:")[0]
        if path.name.startswith(("ffhq", "mobile_clip")):
            assert all(word in head for word in ("# Run:", "# Time:", "# Expect:")), path
            assert "paper's figures" in head or "no figures" in head, path


@pytest.mark.parametrize("name", ["where2edit-no-attention", "where2edit-no-clusters"])
def test_ablations_edit_train_and_stay_what_they_say(name):
    method, source = toy.method(name, mapping=toy.mapper("stylespace")), toy.sources((0,))
    edit = method(source, toy.condition())
    assert edit.image.shape == (2, 3, 16, 16) and edit.region_attention is None
    if name.endswith("attention"):
        assert edit.attention is None and torch.equal(edit.mask, torch.ones_like(edit.mask))
        plain = toy.generator().synthesis(edit.styles)
        torch.testing.assert_close(edit.image, plain, rtol=1e-4, atol=1e-4)
    else:
        assert len(edit.attention[0].unique()) > edit.num_regions, "every pixel decides for itself"
    a = edit.mask if edit.attention is None else edit.attention
    (edit.image.square().sum() + a.sum()).backward()
    trained = {n: p for n, p in method.named_parameters() if "noise_strength" not in n}
    assert all(p.grad is not None for p in trained.values())


def test_attention_area_by_hand():
    a = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]])
    edit = Edit(styles={}, mask=a, attention=a)
    down, across = ((0.5**2 + 0.5**2) / 2) ** 0.5, (1 / 2) ** 0.5
    loss = lambda smoothness: AttentionArea(None, AttentionAreaOptions(smoothness))(None, edit, None).item()  # noqa: E731
    assert loss(0.0) == pytest.approx(0.5)
    assert loss(2.0) == pytest.approx(0.5 + 2 * (down + across))
    flat = torch.full((1, 1, 4, 4), 0.3, requires_grad=True)
    AttentionArea(None, AttentionAreaOptions())(None, Edit(styles={}, mask=flat, attention=flat), None).backward()
    assert flat.grad.isfinite().all()


def test_raw_embeddings_and_any_prompts_are_switches():
    encoder = toy.encoder()
    prompts = list(toy.PROMPTS)
    raw, standard = Conditions(encoder, raw=True), Conditions(encoder)
    torch.testing.assert_close(raw.embed(prompts), encoder.text(prompts).float())
    lengths = standard.embed(prompts).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, encoder.dim**0.5))
    same = ["blond hair"] * 3
    drawn = PromptSampler(same, standard, distinct=1.0).draw(1, 4, torch.Generator().manual_seed(0))
    assert len(drawn[0]) == 4


def test_released_pixels_are_the_enlarged_and_pooled_image_unnormalised():
    clip = Clip.__new__(Clip)
    torch.nn.Module.__init__(clip)
    clip.pixels, clip.size = "released", 14
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    enlarged = images.repeat_interleave(7, 2).repeat_interleave(7, 3)
    torch.testing.assert_close(clip.preprocess(images), F.avg_pool2d(enlarged, 32), rtol=1e-5, atol=1e-5)


WHOLE_EDIT = """
import resource, torch
torch.set_num_threads(2)
from where2edit.editing.certificate import certify, halo
from where2edit.editing.masks import BlendingConfig
from where2edit.evaluation.protocols import load
from where2edit.generators.stylegan2 import create
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.core.records import Condition
from where2edit.editing.regions import RegionConfig, Regions
with torch.no_grad():
    generator = create(1024)
    torch.manual_seed(0)
    regions = Regions(torch.randn(20, 576), RegionConfig(), generator.name, "64.conv1", 0.0)
    frozen = Frozen(generator, 512, "64.conv1", BlendingConfig(), regions)
    method = METHODS.get("where2edit")(frozen, MethodConfig()).eval()
    source = method.source(method.latents(generator.sample_z([0]), 0.7))
    h = torch.randn(1, 512)
    edit = method(source, Condition(h, h, 0.1))
    assert edit.image.shape == (1, 3, 1024, 1024) and edit.image.isfinite().all()
    assert (edit.image - source.image).abs().max() > 1e-3
    nothing = method.render(source, edit.with_(mask=torch.zeros(1, 1, 64, 64)))
    assert torch.equal(nothing.image, source.image), "mask 0 must give the source bit for bit"
    mask = torch.zeros(1, 1, 64, 64)
    mask[0, 0, 20, 30] = 1
    one = method.render(source, edit.with_(mask=mask)).image
    changed = (one != source.image).any(1)[0]
    rows, columns = changed.any(1).nonzero()[:, 0], changed.any(0).nonzero()[:, 0]
    reach = [320 - rows.min(), rows.max() - 335, 480 - columns.min(), columns.max() - 495]
    assert halo(generator, "64.conv1") == 45 and max(int(r) for r in reach) == 45, reach
    certificate = certify(source.image, one, mask, 45)[0]
    assert certificate.local and certificate.changed > 0
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
assert peak < 4, f"peak {peak:.2f} GiB"
print(f"reach {[int(r) for r in reach]} px, peak {peak:.2f} GiB")
"""


@pytest.mark.slow
def test_a_whole_1024_edit_fits_into_4_gib_is_exact_and_reaches_45_px():
    done = subprocess.run([sys.executable, "-c", WHOLE_EDIT], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
