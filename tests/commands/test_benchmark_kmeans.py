"""The benchmark of the k-means, in small: it measures what the regions of a profile are fitted to."""

import json
import sys

import pytest
from toy_cases import ROOT

from where2edit.commands import benchmark_kmeans

ARGUMENTS = ["--config", str(ROOT / "configs/toy.yaml"), "regions.samples=2", "regions.k=3", "regions.n_init=1"]


@pytest.fixture
def arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark_kmeans.py", *ARGUMENTS, "--impl", "fast"])


def test_one_implementation_leaves_one_line_of_figures(arguments, capsys):
    benchmark_kmeans.main("times the k-means")
    figures = json.loads(capsys.readouterr().out)
    assert figures["impl"] == "fast" and figures["k"] == 3 and figures["samples"] == 2
    assert figures["inertia"] > 0 and figures["cpu_seconds"] > 0


def test_each_implementation_runs_as_the_same_command_in_a_process_of_its_own(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(ROOT / "scripts/benchmark_kmeans.py"), *ARGUMENTS])
    assert benchmark_kmeans.measure_apart("fast", 1)["threads"] == 1
    assert json.loads(capsys.readouterr().out)["impl"] == "fast"


def test_a_config_that_does_not_exist_is_refused_in_one_sentence_without_hidden_files(monkeypatch, tmp_path):
    (tmp_path / ".hooks.yaml").touch()
    monkeypatch.setattr(sys, "argv", ["benchmark_kmeans.py", "--config", str(tmp_path / "none.yaml")])
    with pytest.raises(ValueError, match="no config file at .*Known: none"):
        benchmark_kmeans.main("times the k-means")
