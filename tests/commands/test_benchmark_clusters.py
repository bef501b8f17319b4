"""The benchmark of the k-means, in small: it measures what the regions of a profile are fitted to."""

import json

import pytest
import torch
from toy_cases import ROOT

from where2edit.commands.benchmarks import clusters
from where2edit.commands.benchmarks.clusters import (
    COLUMNS,
    FAST,
    REFERENCE,
    ClusterRun,
    cluster_rows,
    cluster_text,
    measure,
    measure_apart,
)
from where2edit.commands.benchmarks.lines import MeasuredLines
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.editor.profile import load_profile

CPU = torch.device("cpu")


@pytest.fixture
def profile():
    return load_profile(ROOT / "configs/toy.yaml", ["regions.samples=2", "regions.k=3", "regions.n_init=1"])


def figures(impl, samples, seconds=1.0):
    return {"cpu_seconds": seconds, "wall_seconds": 2 * seconds, "peak_gib": 0.5, "inertia": 7.0, "steps": 3}


@pytest.mark.parametrize("impl", [FAST, REFERENCE])
def test_one_implementation_leaves_its_figures(impl, profile):
    found = measure(profile, impl, threads=1)
    assert found["k"] == 3 and found["samples"] == 2 and found["threads"] == 1
    assert found["inertia"] > 0 and found["cpu_seconds"] > 0 and found["peak_gib"] > 0


def test_each_measurement_is_a_process_of_its_own(profile):
    threads = torch.get_num_threads()
    assert measure_apart(profile, FAST, threads + 1)["threads"] == threads + 1
    assert torch.get_num_threads() == threads


def test_a_process_that_is_killed_is_one_sentence(profile, monkeypatch):
    class Killed:
        def __init__(self, *what, **how): ...
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def submit(self, *what):
            raise clusters.BrokenProcessPool("a process was terminated abruptly")

    monkeypatch.setattr(clusters, "ProcessPoolExecutor", Killed)
    with pytest.raises(ValueError, match="the k-means 'reference' of 2 samples was killed, most likely for its memory"):
        measure_apart(profile, REFERENCE, 1)


def test_both_paths_are_measured_in_turn_and_scikit_learn_ends_first(profile, monkeypatch, tmp_path):
    asked, now = [], [0.0]
    monkeypatch.setattr(clusters.time, "monotonic", lambda: now[0])

    def apart(changed, impl, threads, device):
        asked.append((changed.regions.samples, impl))
        now[0] += changed.regions.samples * (10 if impl == REFERENCE else 1)
        return figures(impl, changed.regions.samples, seconds=changed.regions.samples)

    monkeypatch.setattr(clusters, "measure_apart", apart)
    lines = MeasuredLines(tmp_path / "b.jsonl", "Clustering")
    run = BenchmarkRun(CPU, rounds=2, budget=1500, lines=lines)
    text = cluster_text(run, profile, threads=1)
    assert asked[:4] == [(10, FAST), (10, REFERENCE), (10, FAST), (10, REFERENCE)]
    # 220 s for 10 samples, 440 for 20; one of 50 would take 500 s, more than is left of scikit-learn's 750.
    assert [size for size, impl in asked if impl == REFERENCE] == [10, 10, 20, 20]
    assert [size for size, impl in asked if impl == FAST][4:] == [50, 50, 100, 100, 200, 200]
    assert "400 and more would not end within the 1500 seconds" in text
    assert "| 20 | fast | 20.00 | 1.0 |" in text and "| 50 | fast | 50.00 |  |" in text
    written = [json.loads(line) for line in lines.path.read_text().splitlines()]
    assert sum(line["what"] == "k-means" for line in written) == len(asked)


def test_a_table_has_the_measurement_with_the_lowest_cpu_time_of_each():
    found = [(10, FAST, figures(FAST, 10, 2.0)), (10, REFERENCE, figures(REFERENCE, 10, 9.0))]
    found.append((10, FAST, figures(FAST, 10, 3.0)))
    rows = cluster_rows(found, REFERENCE)
    assert [row[:4] for row in rows] == [("10", FAST, "2.00", "4.5"), ("10", REFERENCE, "9.00", "")]
    assert all(len(row) == len(COLUMNS.split(" | ")) for row in rows)


def test_the_slow_path_ends_within_the_rounds_of_the_first_size(profile, monkeypatch):
    asked, now = [], [0.0]
    monkeypatch.setattr(clusters.time, "monotonic", lambda: now[0])

    def apart(changed, impl, threads, device):
        asked.append(impl)
        now[0] += 100 if impl == REFERENCE else 1
        return figures(impl, 2)

    monkeypatch.setattr(clusters, "measure_apart", apart)
    times = ClusterRun(BenchmarkRun(CPU, rounds=5, budget=20), profile, 1).at(10)
    assert asked.count(REFERENCE) == 1 and asked.count(FAST) == 5
    assert {name: len(each.all) for name, each in times.items()} == {"fast": 5, "scikit-learn": 1}


def test_on_a_gpu_the_fast_path_is_compared_with_itself_on_the_cpu(profile, monkeypatch):
    asked = []
    monkeypatch.setattr(clusters, "measure_apart", lambda changed, *how: asked.append(how) or figures(FAST, 2))
    times = ClusterRun(BenchmarkRun(torch.device("cuda:0"), rounds=1), profile, 3).at(2)
    assert asked == [(FAST, 3, "cuda:0"), (FAST, 3, "cpu")] and list(times) == ["fast, GPU", "fast, CPU"]
