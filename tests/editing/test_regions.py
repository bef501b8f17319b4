"""Regions: the two k-means are twins, labels are nearest centres, saved regions come back, shipped ones replay."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from where2edit.backbones.face_parsing import CLASSES
from where2edit.editing import part_classifier, region_shares
from where2edit.editing.face_parts import BANDS, PARTS
from where2edit.editing.part_classifier import PartClassifier
from where2edit.editing.regions import RegionConfig, Regions, collect, fit, fit_or_load, positional
from where2edit.files import assets
from where2edit.generators import GENERATORS
from where2edit.generators.stylegan2 import create
from where2edit.ops import kmeans as kmeans_module
from where2edit.ops.kmeans import assign, kmeans, refined

SHIPPED = (10, 20, 60)


def scenes(n=12, size=16, parts=6, channels=24, seed=0):
    """Feature maps [n,size,size,channels] of patches of `parts` materials with noise, as clusters overlap in life."""
    draw = torch.Generator().manual_seed(seed)
    kind = torch.randn(n, parts, 5, 5, generator=draw)
    kind = F.interpolate(kind, size=size, mode="bicubic").argmax(1)  # [n,size,size]
    materials = 2 * torch.randn(parts, channels, generator=draw)
    return materials[kind] + torch.randn(n, size, size, channels, generator=draw)


def agreement(a, b, k):
    """Share of points with the same label after the best matching of labels."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((k, k))
    np.add.at(table, (a.flatten().numpy(), b.flatten().numpy()), 1)
    return table[linear_sum_assignment(-table)].sum() / a.numel()


@pytest.mark.parametrize("upsample", [1, 2])
def test_twins_agree_from_the_same_start(upsample):
    cells = scenes()
    start = cells.flatten(0, 2)[torch.randperm(12 * 256, generator=torch.Generator().manual_seed(1))[:8]]
    fast, reference = (kmeans(cells, 8, upsample, impl=impl, init=start) for impl in ("fast", "reference"))
    assert fast.inertia == pytest.approx(reference.inertia, rel=1e-4)
    torch.testing.assert_close(fast.centres, reference.centres, rtol=0, atol=0.05)
    assert agreement(assign(cells, fast.centres, upsample), assign(cells, reference.centres, upsample), 8) >= 0.99


@pytest.mark.parametrize("upsample, seed", [(1, 0), (2, 0), (2, 1)])
def test_twins_agree_with_restarts(upsample, seed):
    cells = scenes(seed=seed)
    fast, reference = (kmeans(cells, 6, upsample, seed=seed, impl=impl) for impl in ("fast", "reference"))
    assert fast.inertia == pytest.approx(reference.inertia, rel=0.005)
    assert agreement(assign(cells, fast.centres, upsample), assign(cells, reference.centres, upsample), 6) >= 0.97


def test_a_pilot_is_enough(monkeypatch):
    cells = scenes()
    whole = kmeans(cells, 6, 2)
    monkeypatch.setattr(kmeans_module, "PILOT", 500)
    assert kmeans(cells, 6, 2).inertia == pytest.approx(whole.inertia, rel=0.005)


def test_refined_points_are_never_needed():
    """Inertia and labels of the fast path are those of the points themselves."""
    cells = scenes(n=3)
    result = kmeans(cells, 5, 2)
    points = refined(cells, 2).flatten(0, 2).double()
    distance = torch.cdist(points, result.centres.double()).square()
    assert result.inertia == pytest.approx(distance.amin(1).sum().item(), rel=1e-5)
    assert torch.equal(assign(cells, result.centres, 2).flatten(), distance.argmin(1))


def test_coarsen_is_the_adjoint_of_refine():
    cells = scenes(n=2).double()
    lloyd = kmeans_module._Lloyd(cells, 2)
    other = torch.randn(2, 32, 32, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(lloyd.refine(cells), refined(cells, 2))
    torch.testing.assert_close((lloyd.refine(cells) * other).sum(), (cells * lloyd.coarsen(other)).sum())


def test_no_tensor_of_all_points_is_made(monkeypatch):
    """The largest temporary stays within the chunk, whatever the number of points."""
    cells, made = scenes(n=8), []
    monkeypatch.setattr(kmeans_module, "CHUNK", 32 * 32 * 24 * 2)
    monkeypatch.setattr(kmeans_module, "refined", lambda c, u: made.append(c.numel() * u * u) or refined(c, u))
    result = kmeans(cells, 6, 2)
    assert made and max(made) <= kmeans_module.CHUNK
    monkeypatch.undo()
    assert result.inertia == pytest.approx(kmeans(cells, 6, 2).inertia, rel=1e-6)


def test_an_empty_cluster_is_given_the_farthest_point():
    cells = scenes(n=4)
    start = cells.flatten(0, 2)[:6].clone()
    start[5] = 1e4  # nothing is near
    result = kmeans(cells, 6, init=start)
    counts = assign(cells, result.centres).flatten().bincount(minlength=6)
    assert (counts > 0).all() and result.centres.isfinite().all()
    assert result.inertia == pytest.approx(kmeans(cells, 6, impl="reference", init=start).inertia, rel=0.05)


def test_fewer_different_points_than_clusters():
    cells = torch.ones(1, 4, 4, 3)
    cells[0, 0, 0] = 2
    for points in (cells, torch.ones_like(cells)):
        result = kmeans(points, 3)
        assert result.inertia == pytest.approx(0, abs=1e-4) and result.centres.isfinite().all()


def test_positions_are_those_of_the_recipe():
    features = torch.zeros(1, 32, 5, 7)
    points = positional(features)
    assert points.shape == (1, 36, 5, 7)
    x, y = torch.linspace(-1, 1, 7), torch.linspace(-1, 1, 5)
    assert torch.equal(points[0, 32:34], x.expand(2, 5, 7)) and torch.equal(points[0, 34:], y[:, None].expand(2, 5, 7))


def test_refining_positions_equals_positions_of_refined_features():
    features = scenes(n=2, channels=32).permute(0, 3, 1, 2)
    up = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=True)
    points = refined(positional(features).permute(0, 2, 3, 1), 2).permute(0, 3, 1, 2)
    torch.testing.assert_close(points, positional(up), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def small():
    return create(32, 1, seed=2)


SITE = "16.conv1"
CONFIG = RegionConfig(k=5, samples=6, n_init=2)


@pytest.fixture(scope="module")
def fitted(small):
    return fit(small, CONFIG, SITE)


@torch.no_grad()
def test_labels_are_the_nearest_centres(small, fitted):
    source = small.source(small.w(small.sample_z(range(3))), upto="16.conv1")
    features = source.features["16.conv1"]
    labels = fitted.label(features)
    assert labels.shape == (3, 16, 16) and labels.dtype == torch.int64 and fitted.num_regions == 5
    points = positional(features).permute(0, 2, 3, 1).flatten(0, 2).double()
    distance = torch.cdist(points, fitted.centres.double()).view(3, 16, 16, 5)
    nearest = distance.amin(-1)
    chosen = distance.gather(-1, labels[..., None])[..., 0]
    torch.testing.assert_close(chosen, nearest, rtol=1e-5, atol=0)
    assert (labels == distance.argmin(-1)).float().mean() > 0.999


def test_fit_gives_the_same_bytes_and_the_reference_agrees(small, fitted):
    assert torch.equal(fit(small, CONFIG, SITE).centres, fitted.centres)
    reference = fit(small, RegionConfig(**{**vars(CONFIG), "impl": "reference", "n_init": 10}), SITE)
    thorough = fit(small, RegionConfig(**{**vars(CONFIG), "n_init": 10}), SITE)
    assert thorough.inertia == pytest.approx(reference.inertia, rel=0.005)


def test_collect_does_not_depend_on_the_batch(small, monkeypatch):
    cells = collect(small, CONFIG, SITE)
    monkeypatch.setattr("where2edit.editing.regions.BATCH", 6)
    assert cells.shape == (6, 16, 16, 512 + 64)
    torch.testing.assert_close(collect(small, CONFIG, SITE), cells, rtol=1e-4, atol=1e-4)


def test_saved_regions_come_back(small, fitted, tmp_path):
    path = fitted.save(tmp_path / "sub" / "regions.safetensors")
    again = Regions.load(path, small, SITE)
    assert torch.equal(again.centres, fitted.centres) and again.config == CONFIG
    assert (again.generator, again.site, again.inertia) == (small.name, SITE, fitted.inertia)
    assert not [p for p in path.parent.iterdir() if p != path]


class TwoClasses:
    """In place of a face parser: hair in the upper half of the picture, skin below."""

    def labels(self, images):
        return labelled(64, {"skin": slice(None), "hair": slice(32)})[None].expand(len(images), -1, -1)


def labelled(size, rows):
    """Labels [size,size] with whole rows of each class, the later on top."""
    labels = torch.zeros(size, size, dtype=torch.long)
    for name, where in rows.items():
        labels[where] = CLASSES.index(name)
    return labels


def test_regions_are_named_by_what_the_parser_sees_in_them(small, fitted, tmp_path, monkeypatch):
    names = region_shares.measure(small, fitted, TwoClasses(), faces=range(2))
    source = small.source(small.w(small.sample_z([0, 1]), CONFIG.truncation))
    labels = fitted.label(source.features[SITE])
    for k in labels.unique():
        upper = (labels[:, :8] == k).sum() / (labels == k).sum()
        assert names[k, CLASSES.index("hair")].item() == pytest.approx(upper.item(), abs=1e-5)
        assert names[k].sum().item() == pytest.approx(1, abs=1e-5)
    regions = Regions(fitted.centres, CONFIG, fitted.generator, fitted.site, fitted.inertia)
    monkeypatch.setattr(region_shares.FaceParser, "load", classmethod(lambda cls: cls.__new__(cls)))
    monkeypatch.setattr(region_shares.FaceParser, "to", lambda self, device: TwoClasses())
    monkeypatch.setattr(region_shares, "FACES", range(2))
    region_shares.measure_and_save(small, regions, tmp_path / "named.safetensors")
    assert torch.equal(Regions.load(tmp_path / "named.safetensors", small).shares, regions.shares)
    monkeypatch.setattr(region_shares, "measure", lambda *a: pytest.fail("named again"))
    region_shares.measure_and_save(small, regions, tmp_path / "named.safetensors")


def test_a_region_belongs_to_the_parts_that_make_up_half_of_it():
    names = torch.zeros(3, len(PARTS))
    names[0, [PARTS.index("u_lip"), PARTS.index("mouth")]] = torch.tensor([0.3, 0.25])
    names[1, [PARTS.index("u_lip"), PARTS.index("jaw"), PARTS.index("cheeks")]] = torch.tensor([0.4, 0.35, 0.25])
    assert region_shares.belonging(names, ["mouth"]).tolist() == [True, False, False]
    assert region_shares.belonging(names, ["lips"]).tolist() == [False, False, False]
    assert region_shares.belonging(names, ["skin"]).tolist() == [False, True, False]
    assert region_shares.belonging(names, ["lips", "jaw"]).tolist() == [False, True, False]
    assert region_shares.belonging(names, ["face"]).tolist() == [True, True, False]
    assert not region_shares.belonging(names, []).any()


def classifier(channels, seed=0):
    """Random weights, by which parts change from cell to cell."""
    draw = torch.Generator().manual_seed(seed)
    weight, bias = torch.randn(len(PARTS), channels + 2, generator=draw), torch.randn(len(PARTS), generator=draw)
    return PartClassifier(weight, bias)


@torch.no_grad()
def test_regions_that_are_divided_by_part_have_a_region_for_each(small, fitted, tmp_path):
    """The label is 25 times the nearest centre plus the part, and the shares of a region say that part alone."""
    config = RegionConfig(**{**vars(CONFIG), "by_parts": True})
    parts = classifier(512)
    divided = Regions(fitted.centres, config, fitted.generator, SITE, fitted.inertia, classifier=parts)
    features = small.source(small.w(small.sample_z(range(3))), upto=SITE).features[SITE]
    labels = divided.label(features)
    assert torch.equal(labels // 25, fitted.label(features)) and torch.equal(labels % 25, parts(features))
    assert divided.num_regions == 125 and labels.max() < 125 and len((labels % 25).unique()) > 2
    assert torch.equal(divided.shares[labels], F.one_hot(parts(features), 25).float())
    again = Regions.load(divided.save(tmp_path / "divided.safetensors"), small, SITE)
    assert again.config == config and torch.equal(again.label(features), labels)
    assert torch.equal(again.shares, divided.shares)
    without = Regions(fitted.centres, config, fitted.generator, SITE, fitted.inertia)
    assert without.shares is None and torch.equal(without.label(features), fitted.label(features))


def test_regions_to_be_divided_get_their_classifier_once(small, fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(region_shares.FaceParser, "load", classmethod(lambda cls: cls.__new__(cls)))
    monkeypatch.setattr(region_shares.FaceParser, "to", lambda self, device: TwoClasses())
    for name, value in {"FACES": range(3), "HELD_OUT": 1, "STEPS": 2, "BATCH": 2}.items():
        monkeypatch.setattr(part_classifier, name, value)
    config = RegionConfig(**{**vars(CONFIG), "by_parts": True})
    regions = Regions(fitted.centres, config, fitted.generator, fitted.site, fitted.inertia)
    region_shares.measure_and_save(small, regions, path := tmp_path / "divided.safetensors")
    again = Regions.load(path, small)
    assert torch.equal(again.classifier.weight, regions.classifier.weight) and again.num_regions == 125
    monkeypatch.setattr(part_classifier, "fit", lambda *a: pytest.fail("fitted again"))
    region_shares.measure_and_save(small, again, path)


def test_the_shipped_regions_of_the_default_profile_know_the_parts_of_a_face():
    names = Regions.load(assets.shipped("pretrained_models/regions-mobile-k60.safetensors")).shares
    groups = ("hair", "mouth", "lips", "brows", "eyes", "nose", "ears", "neck", "background")
    for part in (*BANDS, "temples", "apples", *groups):
        assert region_shares.belonging(names, [part]).any(), part


def test_fit_or_load_keeps_what_fits_and_refits_what_does_not(small, fitted, tmp_path, monkeypatch):
    path = fitted.save(tmp_path / "regions.safetensors")
    monkeypatch.setattr("where2edit.editing.regions.fit", lambda *a: pytest.fail("fitted again"))
    assert torch.equal(fit_or_load(small, CONFIG, SITE, path).centres, fitted.centres)
    monkeypatch.undo()
    other = RegionConfig(**{**vars(CONFIG), "k": 3})
    assert fit_or_load(small, other, SITE, path).num_regions == 3 and Regions.load(path).config == other
    assert fit_or_load(small, other, "8.conv1", path).site == Regions.load(path).site == "8.conv1"


def test_loading_errors_teach(small, fitted, tmp_path):
    with pytest.raises(ValueError, match="does not exist; fit regions with scripts/cluster.py"):
        Regions.load(tmp_path / "none.safetensors")
    (broken := tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="holds no regions"):
        Regions.load(broken)
    save_file({"centres": torch.zeros(2, 3)}, foreign := tmp_path / "foreign.safetensors", {"format": "other"})
    with pytest.raises(ValueError, match="holds no regions"):
        Regions.load(foreign)
    path = fitted.save(tmp_path / "regions.safetensors")
    with pytest.raises(ValueError, match="fitted on generator 'stylegan2-32', not 'stylegan2-64'"):
        Regions.load(path, create(64, 1))
    with pytest.raises(ValueError, match="fitted on site '16.conv1', not '16.conv0'; fit others"):
        Regions.load(path, small, "16.conv0")


@pytest.mark.parametrize("k", SHIPPED)
def test_older_files_keep_the_site_in_their_config(k):
    assert Regions.load(assets.shipped(f"pretrained_models/regions-mobile-k{k}.safetensors")).site == "64.conv1"


def test_wrong_input_errors_teach(small, fitted):
    with pytest.raises(ValueError, match="288 channels with positions; the regions need 576 .* '16.conv1'"):
        fitted.label(torch.zeros(1, 256, 16, 16))
    with pytest.raises(ValueError, match="writes RGB; regions need features: 4.conv1"):
        collect(small, CONFIG, "16.rgb")
    with pytest.raises(ValueError, match="centres must be \\[k=5,D\\]"):
        Regions(fitted.centres[:4], CONFIG, "x", SITE, 0.0)
    with pytest.raises(ValueError, match="at least k=17"):
        kmeans(torch.zeros(1, 4, 4, 3), 17)
    with pytest.raises(ValueError, match="init must be"):
        kmeans(torch.zeros(1, 4, 4, 3), 2, init=torch.zeros(2, 4))
    with pytest.raises(ValueError, match="auto, fast, reference"):
        kmeans(torch.zeros(1, 4, 4, 3), 2, impl="cuda")


@pytest.mark.parametrize("change", [{"k": 0}, {"samples": 0}, {"upsample": 0}, {"n_init": 0}, {"impl": "gpu"}])
def test_config_errors_teach(change):
    with pytest.raises(ValueError, match="allowed: 1 to|auto, fast, reference"):
        RegionConfig(**change)


@pytest.fixture(scope="module")
def mobile():
    return GENERATORS.get("mobilestylegan")()


@pytest.mark.parametrize("k", SHIPPED)
@torch.no_grad()
def test_shipped_regions_replay(mobile, k):
    """The labels of one face, stored when the centres were fitted; a rounding may move a pixel on a border."""
    regions = Regions.load(assets.shipped(f"pretrained_models/regions-mobile-k{k}.safetensors"), mobile)
    assert regions.config == RegionConfig(k=k, by_parts=k == 60)  # those of the default profile are divided
    features = mobile.source(mobile.w(mobile.sample_z([1000])), upto="64.conv1").features["64.conv1"]
    stored = load_file(Path(__file__).resolve().parents[1] / "replay/regions-mobile.safetensors")[f"k{k}"]
    labels = regions.label(features)
    if k == 60:
        shown = torch.bincount(labels.flatten() % len(PARTS), minlength=len(PARTS)).tolist()
        assert all(shown[PARTS.index(part)] for part in ("hair", "nose", "l_eye", "u_lip", "forehead", "jaw"))
        labels = labels // len(PARTS)
    assert (labels[0] == stored.long()).float().mean() >= 0.999
    assert len(labels.unique()) > 0.7 * k
