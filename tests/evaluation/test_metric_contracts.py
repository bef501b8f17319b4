"""Contracts that every registered metric keeps; a new file in where2edit/metrics is found and tested by that alone."""

import math
from dataclasses import replace

import pytest
import torch
from metric_cases import make_batch, make_networks

from where2edit.evaluation.metrics import METRICS

NETWORKS = make_networks()
NAMES = METRICS.names()


def measured(name, cases):
    metric = METRICS.get(name)(NETWORKS)
    for batch in cases:
        metric.update(batch)
    return metric


@pytest.mark.parametrize("name", NAMES)
def test_declares_its_facts(name):
    kind = METRICS.get(name)
    assert kind.higher_is_better in (True, False, None) and len(kind.protocol) > 20
    assert all(NETWORKS.has(need) for need in kind.needs)
    with pytest.raises(ValueError, match="no sample that counts"):
        kind(NETWORKS).compute()


@pytest.mark.parametrize("name", NAMES)
def test_split_batches_equal_one_batch(name):
    count = max(6, METRICS.get(name).fewest)
    whole = measured(name, [make_batch(count, networks=NETWORKS)])
    split = measured(name, [make_batch(2, networks=NETWORKS), make_batch(count - 2, networks=NETWORKS, start=2)])
    assert math.isfinite(whole.compute())
    assert split.compute() == pytest.approx(whole.compute(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_merge_of_halves_is_the_whole_bit_for_bit(name):
    half = max(3, METRICS.get(name).fewest // 2)
    first, second = make_batch(half, networks=NETWORKS), make_batch(half, networks=NETWORKS, start=half)
    whole = measured(name, [first, second])
    halves = measured(name, [second])
    halves.merge(measured(name, [first]))
    assert halves.compute() == whole.compute()
    for key, value in whole.state().items():
        assert torch.equal(halves.state()[key].nan_to_num(-9), value.nan_to_num(-9))
    assert halves.interval(20) == whole.interval(20)


@pytest.mark.parametrize("name", NAMES)
def test_state_restores(name):
    metric = measured(name, [make_batch(max(6, METRICS.get(name).fewest), networks=NETWORKS)])
    restored = METRICS.get(name)(NETWORKS)
    restored.insert(**metric.state())
    assert restored.compute() == metric.compute()


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_counts_once(name):
    metric = measured(name, [make_batch(3, networks=NETWORKS)])
    with pytest.raises(ValueError, match=r"samples \[2\] are already"):
        metric.update(make_batch(1, networks=NETWORKS, start=2))
    other = next(n for n in NAMES if n != name)
    with pytest.raises(ValueError, match="cannot take in"):
        metric.merge(METRICS.get(other)(NETWORKS))


@pytest.mark.parametrize("name", NAMES)
def test_interval_holds_the_figure(name):
    interval = measured(name, [make_batch(12, networks=NETWORKS)]).interval(50)
    assert interval.low <= interval.value <= interval.high and interval.n <= 12


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS.get(n).reads_regions])
def test_regions_are_asked_for(name):
    batch = make_batch(2, networks=NETWORKS)
    with pytest.raises(ValueError, match="needs the regions"):
        METRICS.get(name)(NETWORKS).update(type(batch)(**{**vars(batch), "regions": ()}))


@pytest.mark.parametrize("name", [n for n in NAMES if METRICS.get(n).reads_regions])
def test_a_prompt_that_names_no_region_has_nothing_to_say_of_one(name):
    batch = make_batch(2, networks=NETWORKS)
    named = METRICS.get(name)(NETWORKS).measured(batch)
    found = METRICS.get(name)(NETWORKS).measured(replace(batch, regions=(batch.regions[0], ())))
    assert found[1].isnan().all() and torch.equal(found[0].isnan(), named[0].isnan())


@pytest.mark.parametrize("name", NAMES)
def test_direction(name):
    """Where an edit that changes nothing has a figure, it is the best; success and prompts are what it must lose."""
    lost_by_a_no_op = ("success", "cosine", "judge", "mask_", "inception_score", "run_time", "fid_vs_real")
    lost_by_a_no_op += ("kid_vs_natural", "overshoot")
    metric = METRICS.get(name)(NETWORKS)
    metric.update(make_batch(6, networks=NETWORKS, edit=torch.clone))
    if name.startswith(("success", "reached")):
        assert metric.compute() == 0
    elif len(metric.valid_values()) and metric.higher_is_better is not None and not name.startswith(lost_by_a_no_op):
        edited = measured(name, [make_batch(6, networks=NETWORKS, edit=lambda x: x + 0.3 * x.flip(3))])
        assert (metric.compute() > edited.compute()) == metric.higher_is_better
