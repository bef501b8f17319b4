"""The benchmark of the operations, in small on a CPU: its rows and its leak."""

import json

import pytest
import torch

from where2edit.commands.benchmarks import leaks
from where2edit.commands.benchmarks.leaks import measure_leak
from where2edit.commands.benchmarks.lines import MeasuredLines
from where2edit.commands.benchmarks.operations import operation_rows, region_row
from where2edit.commands.benchmarks.ops_text import operations_text
from where2edit.commands.benchmarks.run import BenchmarkRun
from where2edit.commands.benchmarks.settings import Setting
from where2edit.commands.benchmarks.syntheses import synthesis_rows
from where2edit.generators.stylegan2 import create

CPU = torch.device("cpu")


def test_every_operation_has_its_rows():
    rows = list(operation_rows(CPU, 16, batch=1, rounds=1))
    assert {row[0] for row in rows} == {"epilogue", "blur", "RGB skip"} and len(rows) == 3 * 4 * 2
    assert all(float(row[4]) > 0 and row[5:7] == ("-", "-") and row[7] == "0%" for row in rows)


def test_the_region_mean_is_compared_with_its_loop():
    row = region_row(CPU, rounds=3)
    assert float(row[6]) == pytest.approx(float(row[4]) / float(row[5]), rel=0.05) and row[7].endswith("%")


def test_synthesis_rows_compare_with_the_first():
    run = BenchmarkRun(CPU, rounds=1, quick=True)
    rows = list(synthesis_rows(run, create(8, 1), batches=(1, 2)))
    assert [row[0] for row in rows] == ["weights per sample", "scaled activations"]
    assert all("(1.00x)" in cell for cell in rows[0][3:5]) and all(len(row) == 8 for row in rows)


@pytest.mark.slow
def test_a_section_has_three_tables_and_writes_each_row_down(monkeypatch, tmp_path):
    lines = MeasuredLines(tmp_path / "b.jsonl", "Operations")
    text = operations_text(BenchmarkRun(CPU, rounds=1, quick=True, lines=lines), 128)
    assert [line for line in text.splitlines() if line[:3] == "###"] == [
        "### Operations",
        "### Synthesis at 128 px",
        "### Leak outside mask + halo at 128 px, 2 masks, blend site 64.conv1",
    ]
    written = [json.loads(line) for line in lines.path.read_text().splitlines()]
    rows = [line for line in text.splitlines() if line[:1] == "|" and "---" not in line]
    assert len(written) == len(rows) - 3 and all(len(w["row"]) == len(w["columns"].split(" | ")) for w in written)


def test_a_resolution_at_which_nothing_is_blended_is_refused():
    with pytest.raises(ValueError, match="resolution is 64; .* give 128 or more"):
        operations_text(BenchmarkRun(CPU), 64)


def test_a_cpu_leaks_nothing_and_the_edits_do_something():
    generator = create(128, 1)
    leak = measure_leak(generator, Setting(), masks=2)
    assert leak.largest == 0 and leak.touched == 0 and leak.inside > 0.01


def test_a_leak_would_be_seen(monkeypatch):
    allowed = leaks.allowed_region
    monkeypatch.setattr(leaks, "allowed_region", lambda mask, halo, resolution: allowed(mask, 0, resolution))
    leak = measure_leak(create(128, 1), Setting(), masks=1)
    assert leak.largest > 0 and leak.touched > 0


def test_the_setting_leaves_generator_and_torch_as_they_were():
    generator, before = create(8, 1), torch.backends.cuda.matmul.allow_tf32
    with Setting(tf32=True, dtype=torch.bfloat16, local=True).active(generator, kernels="reference") as changed:
        assert changed.constant.dtype == torch.bfloat16 and changed.arithmetic.local
        assert torch.backends.cuda.matmul.allow_tf32
    assert generator.constant.dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32 == before
