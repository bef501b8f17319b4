"""The benchmark of the operations, in small on a CPU: its rows, its leak and the file that it writes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from where2edit.commands import benchmark_ops
from where2edit.commands.benchmark_ops import HEADING
from where2edit.commands.benchmarks import leaks
from where2edit.commands.benchmarks.leaks import measure_leak
from where2edit.commands.benchmarks.operations import operation_rows
from where2edit.commands.benchmarks.sections import write_section
from where2edit.commands.benchmarks.settings import Setting
from where2edit.commands.benchmarks.syntheses import synthesis_rows
from where2edit.generators.stylegan2 import create

CPU = torch.device("cpu")


def test_every_operation_has_its_rows():
    rows = list(operation_rows(CPU, 16, batch=1))
    assert {row[0] for row in rows} == {"epilogue", "blur", "RGB skip"} and len(rows) == 3 * 4 * 2
    assert all(float(row[4]) > 0 and row[5:] == ("-", "-") for row in rows)


def test_synthesis_rows_compare_with_the_first():
    rows = list(synthesis_rows(create(8, 1), batches=(1,)))
    assert [row[0] for row in rows] == ["weights per sample", "scaled activations"] and "(1.00x)" in rows[0][3]


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


def test_the_section_replaces_its_earlier_version_and_nothing_else(tmp_path):
    path = tmp_path / "docs" / "benchmarks.md"
    write_section(path, HEADING, f"{HEADING}\n\nold")
    path.write_text(path.read_text() + "\n## Other\n\nkept\n")
    write_section(path, HEADING, f"{HEADING}\n\nnew")
    assert path.read_text() == f"# Benchmarks\n\n{HEADING}\n\nnew\n\n## Other\n\nkept\n"


def test_a_device_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="needs a GPU, and 0 are visible; give auto or cpu"):
        benchmark_ops.report("cuda")


def test_the_script_refuses_in_one_sentence():
    script = Path(__file__).parents[2] / "scripts" / "benchmark_ops.py"
    command = [sys.executable, script, "--resolution", "64"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=script.parents[1])
    assert ran.returncode == 2 and "give 128 or more" in ran.stderr and "Traceback" not in ran.stderr
