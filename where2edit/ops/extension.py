"""The compiled CUDA operations: built from csrc/ with ninja on first use, kept in the cache folder, loaded once.

Nothing happens at import. Tensors on a CPU always take the reference. Where a tensor on a GPU finds no CUDA compiler or
the build fails, `use_fast` warns once and the reference runs; only an explicit `impl="fast"` raises.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from where2edit.files.assets import cache_folder

Impl = Literal["auto", "fast", "reference"]
IMPLS = ("auto", "fast", "reference")
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
SOURCES = Path(__file__).parent / "csrc"
NAME = "where2edit_ops"
_outcome: list[str | None] = []  # empty before the first attempt, then None for loaded or why not
_warned: set[str] = set()


def check_impl(impl: str) -> None:
    """Raises ValueError for anything but auto, fast and reference."""
    if impl not in IMPLS:
        raise ValueError(f"impl is {impl!r}; allowed: {', '.join(IMPLS)}")


def use_fast(impl: str, name: str, x: Tensor) -> bool:
    """Whether the operation `name` runs its CUDA kernel on `x`.

    impl: "reference" never; "auto" where x is on a GPU, with one warning where the kernels cannot be had; "fast"
    always. Raises ValueError saying why "fast" cannot run.
    """
    check_impl(impl)
    if impl == "reference" or (impl == "auto" and not x.is_cuda):
        return False
    reason = _why_not(x)
    if reason and impl == "fast":
        raise ValueError(f"{name}: impl='fast' cannot run because {reason}; use impl='auto' or impl='reference'")
    if reason and reason not in _warned:
        _warned.add(reason)
        warnings.warn(f"CUDA kernels are off ({reason}); plain torch operations run instead", stacklevel=3)
    return reason is None


def _why_not(x: Tensor) -> str | None:
    """Why the kernels cannot run on `x`, as a clause; None where they can. The first call builds or loads them."""
    if not x.is_cuda:
        return f"the tensor is on '{x.device}' and the kernels need a CUDA device"
    if x.dtype not in DTYPES:
        return f"the tensor is {x.dtype} and the kernels take float16, bfloat16, float32 and float64"
    if not _outcome:
        try:
            load()
            _outcome.append(None)
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            _outcome.append(_first_error(str(error)))
    return _outcome[0]


def _first_error(log: str) -> str:
    """The line of a build log that says what went wrong."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower() and "Error building" not in line), lines[0])


def toolkit() -> Path:
    """The folder of a CUDA toolkit: $CUDA_HOME, $CUDA_PATH, that of nvcc on PATH, or /usr/local/cuda, in this order.

    Raises ValueError where none of them has both compiler and headers.
    """
    named = [os.environ[key] for key in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(key)]
    compiler = shutil.which("nvcc")
    found = [str(Path(compiler).resolve().parents[1])] if compiler else []
    for folder in map(Path, [*named, *found, "/usr/local/cuda"]):
        if (folder / "bin" / "nvcc").is_file() and (folder / "include" / "cuda_runtime.h").is_file():
            return folder
    raise ValueError("no CUDA compiler was found (nvcc with cuda_runtime.h); set CUDA_HOME to a CUDA toolkit")


def library() -> Path:
    """Where the compiled operations for these sources, this torch and these GPUs are kept."""
    content = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
    key = hashlib.sha256(content + f"{torch.__version__} {sys.version_info[:2]} {_architectures()}".encode())
    return cache_folder() / "ops" / key.hexdigest()[:16] / f"{NAME}.so"


def _architectures() -> str:
    """TORCH_CUDA_ARCH_LIST, or the compute capabilities of the GPUs that are there."""
    found = {torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())}
    return os.environ.get("TORCH_CUDA_ARCH_LIST") or ";".join(f"{a}.{b}" for a, b in sorted(found))


def load() -> Path:
    """Register torch.ops.where2edit, compiling first if the cache has no library; returns the library's path.

    Raises ValueError without a compiler or an architecture, RuntimeError with the log of a failed build.
    """
    target = library()
    if target.is_file():
        torch.ops.load_library(str(target))
    else:
        build(target)
    return target


def build(target: Path) -> None:
    """Compile csrc/ in a folder of its own, so that parallel builds never meet, load it and keep it as `target`.

    Raises ValueError and RuntimeError as `load` does.
    """
    if not _architectures():
        raise ValueError("no GPU is visible and TORCH_CUDA_ARCH_LIST is not set; there is no architecture to build for")
    home = toolkit()
    from torch.utils import cpp_extension

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder, _environment(home, cpp_extension):
        cpp_extension.load(
            NAME,
            sorted(str(path) for path in SOURCES.iterdir() if path.suffix in (".cpp", ".cu")),
            extra_cflags=["-O2"],
            extra_cuda_cflags=["-O3", "--expt-relaxed-constexpr"],
            build_directory=folder,
            is_python_module=False,
        )
        os.replace(Path(folder) / f"{NAME}.so", target)


@contextmanager
def _environment(home: Path, cpp_extension: object) -> Iterator[None]:
    """Let torch find the toolkit, and the ninja beside this python, while the block runs.

    A wrapper script called nvcc leads torch to a folder without headers, hence the explicit folder.
    """
    saved = {key: os.environ.get(key) for key in ("PATH", "TORCH_CUDA_ARCH_LIST")}
    folder, cpp_extension.CUDA_HOME = cpp_extension.CUDA_HOME, str(home)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["TORCH_CUDA_ARCH_LIST"] = _architectures()
    try:
        yield
    finally:
        cpp_extension.CUDA_HOME = folder
        for key, value in saved.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
