"""Metrics against natural examples: by independent implementations, by hand, and which prompts they leave out."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from metric_cases import make_batch, make_networks, natural_faces

from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.edit_batch import AnalysedImages
from where2edit.evaluation.metrics.kid import kernel, mean_of_pairs
from where2edit.evaluation.metrics.kid_vs_natural import independent_distance, null_distances
from where2edit.evaluation.metrics.overshoot import Overshoot

NETWORKS = make_networks()


def measured(name, batch, networks=NETWORKS):
    metric = METRICS.get(name)(networks)
    metric.update(batch)
    return metric


def distance(a, b):
    return float(independent_distance(kernel(a, a), kernel(a, b), mean_of_pairs(kernel(b, b))))


def test_kid_of_independent_sets_equals_torch_fidelity():
    from torch_fidelity.metric_kid import kernel_poly, mmd2

    a, b = (torch.randn(n, 24, generator=torch.Generator().manual_seed(n)).double() for n in (40, 40))
    b = b.flip(1) + 0.3
    kernels = [kernel_poly(x.numpy(), y.numpy()) for x, y in ((a, a), (a, b), (b, b))]
    expected = mmd2(*kernels, mmd_est="unbiased")
    assert distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_kid_of_sets_of_different_sizes_by_hand():
    a, b = torch.randn(3, 8).double(), torch.randn(5, 8).double()

    def k(x, y):
        return float((x @ y / 8 + 1) ** 3)

    within = [np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]) for x in (a, b)]
    between = np.mean([k(x, y) for x in a for y in b])
    assert distance(a, b) == pytest.approx(sum(within) - 2 * between, rel=1e-9)


def test_kid_vs_natural_is_the_mean_over_concepts():
    """Of nine prompts three ask for a big nose and three for no lipstick; three name nothing and do not count."""
    batch = make_batch(9, networks=NETWORKS)
    metric = measured("kid_vs_natural", batch)
    after, natural = batch.after.embedding("inception").double(), NETWORKS["natural_faces"]
    parts = []
    for concept, rows in (("Big_Nose", [1, 4, 7]), ("-Wearing_Lipstick", [2, 5, 8])):
        examples = natural.features[natural.examples(Asked.of(concept, natural.names))].double()
        edits = after[rows]
        parts.append(distance(edits, examples))
    assert metric.compute() == pytest.approx(sum(parts) / 2, rel=1e-6) and len(metric.valid_values()) == 6


def test_choices_of_rows_equal_the_figure_of_those_rows():
    metric = measured("kid_vs_natural", make_batch(12, networks=NETWORKS))
    values = metric.valid_values()
    rows = torch.tensor([0, 0, 3, 5, 5, 1, 2])
    assert metric.figure_of_rows(values)(rows) == pytest.approx(metric.figure(values[rows]), rel=1e-9)
    assert math.isnan(metric.figure_of_rows(values)(torch.tensor([0]))), "one picture has no distance within its set"


def test_null_distances_equal_those_of_each_draw():
    natural = torch.randn(30, 8, generator=torch.Generator().manual_seed(2)).double()
    k, draw = kernel(natural, natural), torch.Generator().manual_seed(5)
    for found in null_distances(k, 12, 4, seed=5).tolist():
        order = torch.randperm(30, generator=draw)
        a, b = natural[order[:12]], natural[order[12:]]
        assert found == pytest.approx(distance(a, b), rel=1e-9)
    many = null_distances(k, 12, 4000)
    assert abs(float(many.mean())) < 0.1 * float(many.std()), "unbiased"


def test_the_floor_knows_only_how_many_edits_there_are():
    batch = make_batch(12, networks=NETWORKS)
    floor = measured("kid_vs_natural_floor", batch)
    other = measured("kid_vs_natural_floor", make_batch(12, networks=NETWORKS, edit=torch.clone))
    assert floor.interval() == other.interval() and floor.interval().n == 8
    fewer = measured("kid_vs_natural_floor", make_batch(6, networks=NETWORKS))
    assert fewer.interval().high - fewer.interval().low > floor.interval().high - floor.interval().low
    counts = [len(NETWORKS["natural_faces"].examples(Asked(*each))) for each in ((0, 1), (1, -1))]
    assert floor.detail(floor.valid_values()) == f"{sum(counts)} examples"


@pytest.mark.parametrize("name", ["kid_vs_natural", "kid_vs_natural_floor", "overshoot"])
def test_a_concept_with_few_natural_examples_is_left_out(name):
    faces = natural_faces()
    logits = faces.logits.clone()
    logits[faces.examples(Asked(0, 1))[49:], 0] = 0
    networks = make_networks(natural_faces=replace(faces, logits=logits))
    metric = measured(name, make_batch(6, networks=networks), networks)
    assert metric.valid_values()[:, 0].tolist() == [-2, -2], "only those without lipstick"
    none = replace(make_batch(6, networks=networks), concepts=("Big_Nose",) * 6)
    assert not len(measured(name, none, networks).valid_values())


@pytest.mark.parametrize("concept", ["Big_Nose", "-Big_Nose"])
def test_overshoot_by_hand(concept):
    """Log-odds and cosines of three edits are set below, on one side above, and on the other above the limits."""
    faces, sign = NETWORKS["natural_faces"], -1 if concept[0] == "-" else 1
    examples = faces.examples(Asked.of(concept, faces.names))
    text = torch.nn.functional.normalize(torch.ones(16), dim=0)
    odds = np.quantile(sign * faces.logits[examples, 0].numpy(), 0.99)
    cosine = np.quantile((faces.embeddings[examples] @ text).numpy(), 0.99)
    rows = [(odds - 0.01, cosine - 0.01), (odds + 0.01, cosine - 0.01), (odds - 0.01, cosine + 0.01)]
    metric = Overshoot(NETWORKS)
    metric.insert(torch.arange(3), torch.stack([torch.tensor([sign, *row, *text.tolist()]) for row in rows]))
    assert metric.scores(metric.valid_values()).tolist() == [0, 1, 1]
    assert metric.compute() == pytest.approx(2 / 3) and metric.detail(metric.valid_values()) == "judge 33%, cosine 33%"


def test_overshoot_reads_the_edited_image():
    batch = make_batch(6, networks=NETWORKS)
    values = measured("overshoot", batch).valid_values()
    image = AnalysedImages(batch.edit.image, NETWORKS)
    assert values[:, 0].tolist() == [1, -2, 1, -2]
    expected = [image.judged[1, 0], -image.judged[2, 1], image.judged[4, 0], -image.judged[5, 1]]
    torch.testing.assert_close(values[:, 1].float(), torch.stack(expected))
    cosine = (image.embedding("train_encoder") * batch.text_of("train_encoder")).sum(1)[[1, 2, 4, 5]]
    torch.testing.assert_close(values[:, 2].float(), cosine)
    assert torch.equal(values[:, 3:].float(), batch.text_of("train_encoder")[[1, 2, 4, 5]])


def test_probability_after_the_edit():
    batch = replace(make_batch(2, networks=NETWORKS), concepts=("Smiling", "-Smiling"))
    p = NETWORKS["judge"](batch.edit.image).sigmoid()[:, 2]
    assert measured("judge_after", batch).compute() == pytest.approx(float(p[0] + 1 - p[1]) / 2, rel=1e-5)
