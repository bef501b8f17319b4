"""Rows of a table over strengths compared at the same rise of the judge, and the intervals of their figures there."""

import math
from dataclasses import replace

import pytest
import torch
from metric_cases import make_networks

from where2edit.evaluation import matched_intervals
from where2edit.evaluation.matched import crossing, curves, matched_table
from where2edit.evaluation.matched_intervals import drawn, interval_ends, over_prompts
from where2edit.evaluation.metrics import METRICS
from where2edit.evaluation.metrics.intervals import Interval
from where2edit.evaluation.metrics.kid import kernel_distance
from where2edit.evaluation.metrics.kid_vs_natural import KidVsNatural
from where2edit.evaluation.protocols import Prompt, Protocol, Row
from where2edit.evaluation.samples import SamplingPlan
from where2edit.evaluation.table import Figure, Table

PROMPTS = (Prompt("blond hair", ("hair",)), Prompt("old", ()))


def figure(row, strength, metric, value):
    return Figure(row, metric, Interval(value, value, value, 4), strength)


def figures_by_hand():
    found = [("no-op", 1.0, "judge_gain", 0.0), ("no-op", 1.0, "id_arcface", 1.0)]
    found += [("a", 0.5, "judge_gain", 0.2), ("a", 0.5, "id_arcface", 0.9), ("a", 0.5, "judge_unasked", 0.1)]
    found += [("a", 1.0, "judge_gain", 0.6), ("a", 1.0, "id_arcface", 0.5), ("a", 1.0, "judge_unasked", 0.3)]
    found += [("b", 1.0, "judge_gain", 0.1), ("b", 1.0, "id_arcface", 0.95)]
    return [figure(*each) for each in found]


def by_hand(rise):
    """Two rows beside a no-op, two prompts, four sources."""
    rows, metrics = (Row("no-op", "no-op"), Row("a"), Row("b")), ("judge_gain", "judge_unasked", "id_arcface")
    how = {"strengths": (0.5, 1.0), "crossed": True, "matched": rise}
    protocol = Protocol("t", "T", "ours", PROMPTS, rows, metrics, "strength", **how)
    return Table(protocol, SamplingPlan(4, crossed=True), [], {}, figures_by_hand())


def test_curves_begin_with_the_no_op():
    found = curves(by_hand(0.3))
    assert set(found) == {"a", "b"} and found["a"][0.0] == {"judge_gain": 0.0, "id_arcface": 1.0}
    assert list(found["a"]) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("rise", "strength", "expected"),
    [
        (0.3, 0.625, {"judge_gain": 0.3, "id_arcface": 0.8, "judge_unasked": 0.15}),
        (0.1, 0.25, {"judge_gain": 0.1, "id_arcface": 0.95, "judge_unasked": 0.1}),
        (0.0, 0.0, {"judge_gain": 0.0, "id_arcface": 1.0, "judge_unasked": 0.1}),
    ],
)
def test_figures_are_read_off_a_straight_line_between_two_strengths(rise, strength, expected):
    found = crossing(curves(by_hand(rise))["a"], rise)
    assert found[0] == pytest.approx(strength) and found[1] == pytest.approx(expected)


def test_a_row_that_never_has_the_rise_says_so():
    lines = matched_table(by_hand(0.3), {})
    assert "| b | its largest rise is 0.10 | – | – |" in lines
    lines = matched_table(by_hand(0.3), {"a": {"id_arcface": (0.7, 0.9)}})
    assert "| a | 0.625 | 0.8 [0.7, 0.9] | 0.15 |" in lines
    assert crossing(curves(by_hand(0.7))["a"], 0.7) is None


def filled(name, values):
    """A metric with the rows of values [N,P,K], sample i being of source i div P and prompt i mod P."""
    metric = METRICS.get(name)(make_networks())
    metric.insert(torch.arange(values[..., 0].numel()), values.flatten(0, 1))
    return metric


def test_figures_of_drawn_sources_are_means_over_prompts_of_means_over_those_that_count():
    values = torch.rand(4, 2, 1, generator=torch.Generator().manual_seed(0))
    values[0, 1] = torch.nan
    reading = over_prompts(filled("id_arcface", values), by_hand(0.3))
    first, second = values[..., 0].double().unbind(1)
    assert reading(torch.tensor([0, 2, 2, 2])) == pytest.approx(float((first[0] + 3 * first[2]) / 4 + second[2]) / 2)
    assert reading(torch.tensor([0, 0, 0, 0])) == pytest.approx(float(first[0])), "the other prompt has no figure"
    values[:] = torch.nan
    nothing = over_prompts(filled("id_arcface", values), by_hand(0.3))
    assert drawn({"a": {1.0: {"id_arcface": nothing}}}, torch.arange(4)) == {"a": {1.0: {}}}


def test_figures_of_sets_are_those_of_the_drawn_sources():
    values = torch.rand(4, 2, 4096, generator=torch.Generator().manual_seed(1))
    reading = over_prompts(filled("kid_vs_unedited", values), by_hand(0.3))
    pick = torch.tensor([3, 1, 1, 0])
    expected = [kernel_distance(*values[pick, prompt].double().split(2048, 1)) for prompt in (0, 1)]
    assert reading(pick) == pytest.approx(sum(expected) / 2, rel=1e-9)


def test_prompts_without_natural_examples_are_left_out(monkeypatch):
    monkeypatch.setattr(KidVsNatural, "valid_values", lambda self: torch.zeros(0, 2049).double())
    values = torch.rand(4, 2, 2049, generator=torch.Generator().manual_seed(2))
    reading = over_prompts(filled("kid_vs_natural", values), by_hand(0.3))
    assert math.isnan(reading(torch.arange(4)))


def test_intervals_of_sets_are_moved_to_the_figure():
    values = [float(value) for value in torch.linspace(0, 1, 201)]
    assert interval_ends("kid_vs_unedited", values, 0.25) == pytest.approx((0.025 - 0.25, 0.975 - 0.25))
    assert interval_ends("id_arcface", values, 0.25) == pytest.approx((0.025, 0.975))


def test_intervals_at_the_same_rise(monkeypatch):
    """Sources that are alike leave none; others do; a row that half of the draws bring to the rise has none at all."""

    def mean_of(*values):
        return lambda pick: float(torch.tensor(values).double()[pick].mean())

    def constant(value):
        return lambda pick: value

    known = {
        "no-op": {
            1.0: {
                "judge_gain": constant(0.0),
                "id_arcface": constant(1.0),
                "difference_inside_share": constant(math.nan),
            }
        },
        "a": {1.0: dict.fromkeys(("judge_gain", "id_arcface", "difference_inside_share"), constant(0.5))},
        "b": {1.0: {"judge_gain": mean_of(0.3, 0.4, 0.5, 0.6), "id_arcface": constant(0.5)}},
        "c": {1.0: {"judge_gain": mean_of(0.0, 0.0, 0.5, 0.5)}},
    }
    monkeypatch.setattr(matched_intervals, "readings", lambda runner, table: known)
    found = matched_intervals.matched_intervals(None, by_hand(0.25))
    known = {"judge_gain": (0.25, 0.25), "id_arcface": (0.75, 0.75), "difference_inside_share": (0.5, 0.5)}
    assert found["a"] == {name: pytest.approx(pair) for name, pair in known.items()}
    low, high = found["b"]["id_arcface"]  # at a mean rise r of the four it is 1 - 0.5 * 0.25 / r
    assert 1 - 0.125 / 0.3 <= low < 1 - 0.125 / 0.45 < high <= 1 - 0.125 / 0.6
    assert found["c"] == {}
    single = replace(by_hand(0.25), plan=SamplingPlan(1, crossed=True))
    assert matched_intervals.matched_intervals(None, single) == {}
