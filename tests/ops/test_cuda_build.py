"""The CUDA sources compile for sm_90 wherever there is a compiler, GPU or not, and load from the cache afterwards."""

import os
import subprocess
import sys

import pytest

from where2edit.ops import extension

PROGRAM = """
import torch
from where2edit.ops import extension
print(extension.load())
print(torch.ops.where2edit.bias_act.default, torch.ops.where2edit.upfirdn2d.default)
"""


def run(**environment):
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=600)


@pytest.mark.slow
def test_sources_compile_for_sm_90_once_and_load_without_a_compiler_after(tmp_path):
    try:
        extension.toolkit()
    except ValueError as reason:
        pytest.skip(str(reason))
    first = run(WHERE2EDIT_CACHE=str(tmp_path), TORCH_CUDA_ARCH_LIST="9.0")
    assert first.returncode == 0, first.stderr[-3000:]
    assert "where2edit.upfirdn2d.default" in first.stdout
    (folder,) = (tmp_path / "ops").iterdir()
    assert [path.name for path in folder.iterdir()] == ["where2edit_ops.so"]  # nothing half-built stays
    written = next(folder.iterdir()).stat().st_mtime_ns
    bare = {"CUDA_HOME": str(tmp_path), "PATH": "", "WHERE2EDIT_CACHE": str(tmp_path), "TORCH_CUDA_ARCH_LIST": "9.0"}
    second = run(**bare)
    assert second.returncode == 0 and second.stdout == first.stdout, second.stderr[-3000:]
    assert next(folder.iterdir()).stat().st_mtime_ns == written


def test_no_architecture_to_build_for_is_said(monkeypatch, tmp_path):
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST", raising=False)
    monkeypatch.setattr(extension.torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="TORCH_CUDA_ARCH_LIST is not set"):
        extension.build(tmp_path / "ops.so")
