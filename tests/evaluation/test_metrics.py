"""Each metric against an independent implementation or a closed form."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from metric_cases import REGIONS, R, make_batch, make_images, make_networks

from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.edit_batch import AnalysedImages
from where2edit.evaluation.metrics.fid import frechet
from where2edit.evaluation.metrics.fidelity import masked_psnr, masked_ssim
from where2edit.evaluation.metrics.implied import IMPLIED, exempt
from where2edit.evaluation.metrics.inception_score import SPLITS
from where2edit.evaluation.metrics.intervals import better_than, bootstrap
from where2edit.evaluation.metrics.kid import kernel_distance
from where2edit.facetext.phrases import EDITOR_PROMPTS, NAMES

NETWORKS = make_networks()


def features(n, width=24, seed=0, shift=0.0):
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(7))
    return torch.randn(n, width, generator=draw) @ mix + shift


def figure(name, batch):
    metric = METRICS.get(name)(NETWORKS)
    metric.update(batch)
    return metric.compute()


def edited(batch, image):
    return replace(batch, edit=batch.edit.with_(image=image), after=AnalysedImages(image, NETWORKS))


@pytest.mark.parametrize(("n", "m"), [(200, 150), (12, 15), (12, 300)])
def test_frechet_equals_torch_fidelity(n, m):
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    a, b = features(n), features(m, seed=1, shift=0.5)
    statistics = [{"mu": x.mean(0), "sigma": np.cov(x, rowvar=False)} for x in (a.double().numpy(), b.double().numpy())]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet(a, b) == pytest.approx(expected, rel=1e-3)
    assert abs(frechet(a, a)) < 1e-8 * expected


def test_frechet_of_normal_sets_has_a_closed_form():
    """Means 3 apart and deviations 1 and 2 along every axis of D: 9 D + D."""
    base = features(4000, 8)
    white = (base - base.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(base.T))).T
    assert frechet(white, 2 * white + 3) == pytest.approx(80, rel=1e-4)


def test_kid_equals_torch_fidelity():
    from torch_fidelity.metric_kid import kernel_poly, kid_features_to_metric, mmd2

    a, b = features(60), features(60, seed=1, shift=0.3)
    a, b = a.double(), b.double()
    kernels = [kernel_poly(x.numpy(), y.numpy()) for x, y in ((a, a), (a, b), (b, b))]
    assert kernel_distance(a, b) == pytest.approx(mmd2(*kernels, mmd_est="u-statistic"), rel=1e-6)
    assert kernel_distance(a, a) == pytest.approx(0, abs=1e-12)
    options = {"kid_subsets": 1, "kid_subset_size": 60, "verbose": False, "rng_seed": 0, "kid_kernel": "poly"}
    usual = kid_features_to_metric(a, b, **options)["kernel_inception_distance_mean"]
    assert kernel_distance(a, b) == pytest.approx(usual, rel=0.2)


def test_kid_of_drawn_rows_is_that_of_their_features():
    metric = METRICS.get("kid_vs_unedited")(NETWORKS)
    values, rows = torch.cat([features(9, 2048), features(9, 2048, 1, 0.3)], 1).double(), torch.tensor([8, 2, 2, 5, 0])
    assert metric.figure_of_rows(values)(rows) == pytest.approx(metric.figure(values[rows]), rel=1e-9)
    assert math.isnan(metric.figure_of_rows(values)(rows[:1])), "a single pair has no distance to others"


def test_inception_score_equals_torch_fidelity():
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = features(83, 1008) / 20
    metric = METRICS.get("inception_score")(NETWORKS)
    metric.insert(torch.arange(80), logits[:80])
    expected = isc_features_to_metric(logits[:80], SPLITS, shuffle=False)["inception_score_mean"]
    assert metric.compute() == pytest.approx(expected, rel=1e-6) and expected > 1.01


def test_fid_of_an_unchanged_set_is_zero_and_of_a_changed_one_is_not():
    assert abs(figure("fid_vs_unedited", make_batch(6, networks=NETWORKS, edit=torch.clone))) < 1e-6
    changed = make_batch(6, networks=NETWORKS)
    values = [AnalysedImages(x, NETWORKS).embedding("inception") for x in (changed.source.image, changed.edit.image)]
    assert figure("fid_vs_unedited", changed) == pytest.approx(frechet(*values), rel=1e-6) and frechet(*values) > 1
    assert figure("fid_vs_real", changed) == pytest.approx(frechet(values[1], NETWORKS["real_features"]), rel=1e-6)


def test_psnr_and_ssim_equal_scikit_image():
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    a, b = make_images(2, 1), (make_images(2, 1) + 0.2 * make_images(2, 2)).clamp(-1, 1)
    everywhere = torch.ones(2, R, R, dtype=torch.bool)
    part = torch.zeros(2, R, R, dtype=torch.bool)
    part[:, 10:40, 20:55] = True
    psnr, ssim = masked_psnr(a, b, everywhere), masked_ssim(a, b, part)
    for i in range(2):
        x, y = (v[i].permute(1, 2, 0).double().numpy() for v in (a, b))
        assert float(psnr[i]) == pytest.approx(peak_signal_noise_ratio(x, y, data_range=2), rel=1e-5)
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
        options |= {"data_range": 2}
        _, full = structural_similarity(x, y, full=True, **options)
        assert float(ssim[i]) == pytest.approx(full[part[i].numpy()].mean(), rel=1e-4)


def test_psnr_counts_only_what_lies_outside():
    a = make_images(1)
    b = a.clone()
    b[:, :, :20] = -1
    outside = torch.zeros(1, R, R, dtype=torch.bool)
    outside[:, 20:] = True
    assert float(masked_psnr(a, b, outside)) == 100
    b[:, :, 20:] += 0.02
    expected = 10 * math.log10(4 / 0.02**2)
    assert float(masked_psnr(a.clamp(-0.9, 0.9), b.clamp(-0.9, 0.92), outside)) == pytest.approx(expected, abs=0.2)
    assert torch.isnan(masked_psnr(a, b, torch.zeros(1, R, R, dtype=torch.bool))).all()


def test_psnr_outside_hair_ignores_the_hair():
    """The stand-in parser calls the upper quarter hair."""
    batch = make_batch(3, networks=NETWORKS, edit=lambda x: torch.cat([-x[:, :, : R // 4], x[:, :, R // 4 :]], 2))
    assert figure("psnr_outside_hair", batch) == 100
    below = make_batch(3, networks=NETWORKS, edit=lambda x: torch.cat([x[:, :, : R // 2], -x[:, :, R // 2 :]], 2))
    assert figure("psnr_outside_hair", below) < 30


def test_success_and_cosines_by_hand():
    batch = make_batch(6, networks=NETWORKS)
    encoder = NETWORKS["train_encoder"]
    text = encoder.text(list(batch.condition.prompts))
    before, after = (F.cosine_similarity(encoder.image(x), text) for x in (batch.source.image, batch.edit.image))
    assert figure("success_train_encoder", batch) == pytest.approx(float((after > before).float().mean()))
    assert 0 < figure("success_train_encoder", batch) < 1
    assert figure("cosine_before_train_encoder", batch) == pytest.approx(float(before.mean()), rel=1e-5)
    assert figure("cosine_after_train_encoder", batch) == pytest.approx(float(after.mean()), rel=1e-5)
    assert figure("cosine_after_heldout_encoder", batch) != figure("cosine_after_train_encoder", batch)


def test_judge_by_hand():
    """Of six prompts two ask for a big nose, two for no lipstick, and two name nothing that the judge knows."""
    batch = make_batch(6, networks=NETWORKS)
    before, after = (NETWORKS["judge"](x).sigmoid() for x in (batch.source.image, batch.edit.image))
    gain = torch.stack([after[1, 0] - before[1, 0], before[2, 1] - after[2, 1]] +
                       [after[4, 0] - before[4, 0], before[5, 1] - after[5, 1]])  # fmt: skip
    assert figure("judge_gain", batch) == pytest.approx(float(gain.mean()), rel=1e-4)
    assert figure("success_judge", batch) == pytest.approx(float((gain > 0).float().mean()))
    with pytest.raises(ValueError, match="knows no concept 'Big_Nos'; did you mean 'Big_Nose'"):
        figure("success_judge", replace(batch, concepts=("Big_Nos",) * 6))
    with pytest.raises(ValueError, match="needs a concept"):
        figure("success_judge", replace(batch, concepts=()))


def test_only_images_that_lacked_the_attribute_count():
    batch = replace(make_batch(6, networks=NETWORKS), concepts=("Smiling",) * 6)
    before, after = (NETWORKS["judge"](x).sigmoid()[:, 2] for x in (batch.source.image, batch.edit.image))
    lacking = before < 0.5
    assert 0 < int(lacking.sum()) < 6
    gain = (after - before)[lacking]
    assert figure("judge_gain_lacking", batch) == pytest.approx(float(gain.mean()), rel=1e-4)
    assert figure("success_judge_lacking", batch) == pytest.approx(float((gain > 0).float().mean()))
    assert figure("reached_judge_lacking", batch) == pytest.approx(float((after[lacking] >= 0.5).float().mean()))


def test_unasked_changes_leave_out_what_is_asked_and_implied():
    """Smiling is neither a nose nor lipstick; a big nose implies none of the stand-in judge's others."""
    batch = replace(make_batch(2, networks=NETWORKS), concepts=("-Wearing_Lipstick", None))
    change = NETWORKS["judge"](batch.edit.image).sigmoid() - NETWORKS["judge"](batch.source.image).sigmoid()
    size = change.abs()
    expected = ((size[0, 0] + size[0, 2]) / 2 + size[1].mean()) / 2
    assert figure("judge_unasked", batch) == pytest.approx(float(expected), rel=1e-4)
    metric = METRICS.get("judge_unasked")(NETWORKS)
    metric.update(replace(batch, concepts=("Wearing_Lipstick",) * 2))
    mean = change.mean(0)
    named = sorted((("Big_Nose", mean[0]), ("Smiling", mean[2])), key=lambda pair: -abs(pair[1]))
    words = ", ".join(f"{name} {value:+.2f}" for name, value in named)
    assert metric.detail(metric.valid_values()).startswith(words)


def test_implied_attributes_are_known_and_narrow():
    for concept, implied in IMPLIED.items():
        assert {concept, *implied} <= set(NAMES)
    for concept, _ in EDITOR_PROMPTS.values():
        assert concept in IMPLIED, "an editor prompt says what it implies, even if it is nothing"
    assert exempt("-No_Beard") >= {"No_Beard", "Goatee", "Male"} and exempt(None) == frozenset()
    # What the issue calls wrong is never excused.
    assert not exempt("Gray_Hair") & {"Young"} and not exempt("Wearing_Lipstick") & {"Male"}
    for name in IMPLIED:
        assert len(exempt(name)) < len(NAMES) / 2


def test_mask_on_a_part_by_hand():
    """16 x 16 cells: hair in rows 0 to 3, background in rows 14 and 15. The mask covers 2 x 6 of hair, face."""
    batch = make_batch(3, networks=NETWORKS)
    assert figure("mask_on_hair", batch) == pytest.approx(2 * 6 / (4 * 16))
    assert figure("mask_on_face", batch) == pytest.approx(2 * 6 / (10 * 16))
    mask = torch.zeros(3, 1, 16, 16)
    mask[:, :, 12:15, :4] = 1
    batch = replace(batch, edit=batch.edit.with_(mask=mask))
    assert figure("mask_on_background", batch) == pytest.approx(4 / (2 * 16))
    skin = type("Skin", (), {"labels": lambda _, x: torch.ones(len(x), 8, 8).long()})
    only_skin = make_networks(face_parsing=skin())
    metric = METRICS.get("mask_on_background")(only_skin)
    metric.update(make_batch(3, networks=only_skin))
    assert not len(metric.valid_values()), "a part that is not shown does not count"


@pytest.mark.parametrize("name", ["id_arcface", "id_facenet"])
def test_identity(name):
    assert figure(name, make_batch(4, networks=NETWORKS, edit=torch.clone)) == pytest.approx(1, abs=1e-6)
    assert figure(name, make_batch(4, networks=NETWORKS, edit=torch.neg)) == pytest.approx(-1, abs=1e-6)


def square_case(change=0.5, at=(40, 44)):
    """One sample whose mask is active in rows 8..23, columns 12..35 of 64; a square at `at` is changed."""
    batch = make_batch(1, networks=NETWORKS, edit=torch.clone)
    image = batch.source.image.clone()
    image[:, 1, at[0] : at[0] + 4, at[1] : at[1] + 4] += change
    return edited(batch, image)


def test_locality_closed_form():
    outside = R * R - (16 + 2 * 3) * (24 + 2 * 3)
    batch = square_case()
    assert int(batch.outside_mask.sum()) == outside
    assert figure("changed_outside_mask", batch) == pytest.approx(16 / outside)
    assert figure("leak_outside_mask", batch) == pytest.approx(0.5, rel=1e-5)
    assert figure("drift", batch) == pytest.approx(16 * 0.5 / outside, rel=1e-5)
    # Just inside the halo: 3 px past the active cells.
    inside = square_case(at=(23, 35))
    assert figure("changed_outside_mask", inside) == 0 and figure("leak_outside_mask", inside) == 0
    assert figure("changed_outside_mask", square_case(at=(24, 36))) > 0


def test_region_differences_closed_form():
    """The first prompt names the hair, which the stand-in parser sees in the upper 16 of 64 rows."""
    batch = square_case(at=(14, 0))
    outside = R * (R - 16)
    assert figure("changed_outside_region", batch) == pytest.approx(8 / outside)
    assert figure("difference_outside_region", batch) == pytest.approx(8 * 0.5 / outside, rel=1e-5)
    assert figure("difference_inside_share", batch) == pytest.approx(0.5, rel=1e-5)
    assert figure("changed_outside_region", square_case(change=0.005, at=(40, 0))) == 0


def test_a_region_counts_where_it_is_before_or_after():
    class Mover:
        """Hair is where the image is bright."""

        def labels(self, images):
            return torch.where(images[:, 0] > 0.99, 17, 1)

    networks = make_networks(face_parsing=Mover())
    batch = make_batch(1, networks=networks, edit=torch.clone)
    image = batch.source.image.clamp(max=0.9)
    image[:, :, 5] = 1
    batch = replace(batch, source=replace(batch.source, image=batch.source.image.clamp(max=0.9)))
    before, after = AnalysedImages(batch.source.image, networks), AnalysedImages(image, networks)
    batch = replace(batch, before=before, after=after, regions=(("hair",),))
    assert int((~batch.outside_region).sum()) == R and (~batch.outside_region)[0, 5].all()


@pytest.mark.parametrize("attention", [False, True])
def test_masks_equal_scikit_learn(attention):
    from sklearn.metrics import jaccard_score, precision_score, recall_score

    draw = torch.Generator().manual_seed(0)
    mask = torch.rand(6, 1, 16, 16, generator=draw)
    batch = make_batch(6, networks=NETWORKS)
    batch = replace(batch, edit=batch.edit.with_(mask=mask, region_attention=mask if attention else None))
    found = (mask[:, 0] >= (0.8 if attention else 0.5)).numpy()
    ids = {"hair": [17], "nose": [10], "lips": [12, 13]}
    labels = NETWORKS["face_parsing"].labels(batch.source.image).numpy()[:, ::2, ::2]
    truth = [np.isin(labels[i], ids[REGIONS[i % 3][0]]) for i in range(6)]
    pairs = [(t.ravel(), f.ravel()) for t, f in zip(truth, found, strict=True)]
    for name, score, options in (
        ("mask_iou", jaccard_score, {}),
        ("mask_iou_macro", jaccard_score, {"average": "macro"}),
        ("mask_precision", precision_score, {"zero_division": 0}),
        ("mask_recall", recall_score, {}),
    ):
        expected = np.mean([score(t, f, **options) for t, f in pairs])
        assert figure(name, batch) == pytest.approx(expected, rel=1e-5) and expected > 0


def test_a_region_that_is_not_shown_does_not_count():
    batch = replace(make_batch(2, networks=NETWORKS), regions=(("hair",), ("glasses",)))
    metric = METRICS.get("mask_iou")(NETWORKS)
    metric.update(batch)
    assert len(metric.valid_values()) == 1 and len(metric.values) == 2


def test_run_time_is_per_image():
    assert figure("run_time", make_batch(4, networks=NETWORKS, seconds=0.25)) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="needs the seconds"):
        METRICS.get("run_time")(NETWORKS).update(replace(make_batch(2, networks=NETWORKS), seconds=None))


def test_networks_run_once_per_batch_of_images():
    calls = []

    class Counting:
        def labels(self, images):
            calls.append(len(images))
            return torch.ones(len(images), 8, 8, dtype=torch.int64)

    view = AnalysedImages(make_images(3), make_networks(face_parsing=Counting()))
    assert view.labels.shape == (3, R, R) and torch.equal(view.labels, view.labels)
    assert view.embedding("arcface") is view.embedding("arcface")
    assert calls == [3]
    with pytest.raises(ValueError, match="'arcfase' was not given.*did you mean 'arcface'"):
        view.embedding("arcfase")


def test_bootstrap_of_a_mean_has_the_textbook_width():
    rows = torch.randn(400, 1, generator=torch.Generator().manual_seed(3)).double() + 5
    found = bootstrap(rows, lambda x: float(x.mean()), 2000, seed=1)
    half = 1.96 * float(rows.std()) / 20
    assert found.low == pytest.approx(found.value - half, abs=0.15 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.15 * half)
    assert found == bootstrap(rows, lambda x: float(x.mean()), 2000, seed=1)
    assert math.isnan(bootstrap(rows[:1], lambda x: float(x.mean())).low)
    with pytest.raises(ValueError, match="at least 20 replicates"):
        bootstrap(rows, len, 5)


def test_one_sided_test_equals_scipy():
    from scipy import stats

    draw = torch.Generator().manual_seed(0)
    base = torch.randn(50, generator=draw)
    ours, theirs = base + 0.3, base + 0.2 * torch.randn(50, generator=draw)
    t = stats.ttest_rel(ours.double().numpy(), theirs.double().numpy())
    assert better_than(ours, theirs) == pytest.approx(t.pvalue / 2, rel=1e-6) and t.pvalue < 1e-6
    assert better_than(theirs, ours) == pytest.approx(1 - t.pvalue / 2)
    assert better_than(ours, theirs, higher_is_better=False) > 0.99
    assert better_than(ours, theirs, paired=False) > better_than(ours, theirs)
    assert better_than(ours, ours) == 1 and better_than(ours + 1, ours.clone()) < 1e-10
    with pytest.raises(ValueError, match="paired=False"):
        better_than(ours, theirs[:10])


def test_the_seam_of_a_step_on_a_ramp_has_a_closed_form():
    """A box of H x W pixels that is brighter by h adds h (2 H + 2 W) of gradient; a ramp of slope s has s per pixel."""
    batch, cell = make_batch(2), R // 16
    ramp = torch.linspace(-0.5, 0.5, R).expand(2, 3, R, R)
    inside = F.interpolate((batch.edit.mask > 0).float(), (R, R))
    batch = replace(batch, source=batch.source.with_(image=ramp), edit=batch.edit.with_(image=ramp + 0.25 * inside))
    height, width = 4 * cell, 6 * cell
    ring = (height + 2 * cell) * (width + 2 * cell) - (height - 2 * cell) * (width - 2 * cell)
    expected = 0.25 * (2 * height + 2 * width) / (ring / (R - 1))
    values = METRICS.get("seam")(NETWORKS).measure(batch)
    torch.testing.assert_close(values, torch.full((2,), expected), rtol=1e-4, atol=0)


def test_edits_without_a_rim_have_no_seam_and_unchanged_ones_have_none_to_see():
    batch = make_batch(2)
    nothing = edited(batch, batch.source.image)
    assert METRICS.get("seam")(NETWORKS).measure(nothing).tolist() == [0.0, 0.0]
    for value in (0.0, 1.0):
        whole = replace(batch, edit=batch.edit.with_(mask=torch.full_like(batch.edit.mask, value)))
        assert METRICS.get("seam")(NETWORKS).measure(whole).isnan().all()
