"""Foreign weight files read as data: nothing in them runs, whether pickle, TorchScript or Python source.

`.pt` and `.pth` go through torch's own weights-only reader; NVIDIA's `.pkl` and TorchScript archives, which that reader
refuses, through the allow-list reader of `safe_pickle` with stand-ins for their classes.
"""

from __future__ import annotations

import argparse
import io
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from where2edit.files.formats import safe_pickle

_ADVICE = "get the file from its official source and check its sha256"
_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def require_file(path: str | Path) -> Path:
    """`path`, or ValueError where there is no file."""
    if not Path(path).is_file():
        raise ValueError(f"no file at {path}; give the official file, as scripts/download.py fetches it")
    return Path(path)


def read_checkpoint(path: str | Path) -> Any:
    """What `torch.save` wrote: tensors in plain containers and argparse namespaces; ValueError for anything else."""
    path = require_file(path)
    archive = zipfile.is_zipfile(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not read: {_reason(error)}; nothing of it was run, {_ADVICE}") from None
    except (RuntimeError, EOFError, KeyError, AttributeError, TypeError, UnicodeDecodeError, IndexError) as error:
        raise ValueError(f"{path} is not a readable checkpoint ({_reason(error)}); {_ADVICE}") from None


def _reason(error: Exception) -> str:
    """The line of torch's long message that names the culprit."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line or "class" in line]
    return (named or lines or [type(error).__name__])[0].split(". ")[0].removeprefix("WeightsUnpickler error: ")


class Record:
    """Stands for an object of any foreign class: its attributes as data, no behaviour."""

    def __init__(self, class_name: str = ""):
        self.class_name, self.attributes = class_name, {}

    def __setstate__(self, state: Any) -> None:
        self.attributes = dict(state) if isinstance(state, Mapping) else {}

    def members(self) -> Iterator[tuple[str, Any]]:
        """Parameters, buffers and submodules by name, however the class keeps them."""
        for name, value in self.attributes.items():
            if name in ("_parameters", "_buffers", "_modules") and isinstance(value, Mapping):
                yield from ((str(key), item) for key, item in value.items() if item is not None)
            elif torch.is_tensor(value) or isinstance(value, Record):
                yield name, value

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """The state dict of a module that was read as a Record."""
        flat: dict[str, Tensor] = {}
        for name, value in self.members():
            flat |= value.tensors(f"{prefix}{name}.") if isinstance(value, Record) else {f"{prefix}{name}": value}
        return flat


class _EasyDict(dict):
    """Stands for dnnlib's dictionary with attributes."""


def read_nvidia_pickle(path: str | Path) -> Mapping[str, Any]:
    """The pickle of stylegan2-ada-pytorch or stylegan3: {"G_ema": Record, ...}; the source code in it is ignored."""
    tree = safe_pickle.load(require_file(path), _nvidia_names(str(path)))
    if not isinstance(tree, Mapping):
        raise ValueError(f"{path} holds a {type(tree).__name__}, expected NVIDIA's mapping of networks; {_ADVICE}")
    return tree


def _nvidia_names(origin: str) -> dict[str, Any]:
    """The allow-list of NVIDIA's pickles."""

    def network(meta: Mapping[str, Any]) -> Record:
        record = Record(str(meta.get("class_name")))
        record.__setstate__(meta.get("state"))
        return record

    def storage(data: bytes) -> Any:
        try:
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ValueError(f"{origin} holds a tensor that is not read ({_reason(error)}); nothing was run") from None

    return safe_pickle.numpy_names() | {
        "torch_utils.persistence._reconstruct_persistent_obj": network,
        "dnnlib.util.EasyDict": _EasyDict,
        "torch.storage._load_from_bytes": storage,
        "torch._utils._rebuild_tensor_v2": _rebuild(origin, _of_storage),
        "torch._utils._rebuild_parameter": lambda data, requires_grad, hooks: data,
        "builtins.set": set,
        "__builtin__.set": set,
        "torch.device": torch.device,
        "torch.float32": torch.float32,
        "torch.float16": torch.float16,
    }


def _of_storage(storage: Any) -> Tensor:
    """The 1-D tensor over a torch storage."""
    return torch.tensor([], dtype=storage.dtype).set_(storage)


def _rebuild(origin: str, flat: Callable[[Any], Tensor]) -> Callable[..., Tensor]:
    """What stands for `torch._utils._rebuild_tensor_v2`; `flat` makes a 1-D tensor of a storage."""

    def rebuild(storage: Any, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
        try:
            return torch.as_strided(flat(storage), size, stride, offset)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise ValueError(f"{origin} holds a tensor that does not fit its storage ({_reason(error)})") from None

    return rebuild


class _TorchScriptNames(dict):
    """The allow-list of a TorchScript archive: every class that the archive itself defines becomes a Record."""

    def __contains__(self, name: object) -> bool:
        return str(name).startswith("__torch__.") or super().__contains__(name)

    def __missing__(self, name: str) -> Any:
        return Record


def read_torchscript(path: str | Path) -> dict[str, Tensor]:
    """The state dict of a TorchScript archive; its code is neither loaded nor run."""
    path = require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            module = _script_module(archive, str(path))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{path} is not a readable TorchScript archive ({error}); {_ADVICE}") from None
    if not isinstance(module, Record):
        raise ValueError(f"{path} holds a {type(module).__name__}, expected a TorchScript module; {_ADVICE}")
    return module.tensors()


def _script_module(archive: zipfile.ZipFile, origin: str) -> Any:
    """The object in the archive's data.pkl, its tensors taken from the files beside it."""
    pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"{origin} is not a TorchScript archive: {len(pickles)} files data.pkl, expected 1; {_ADVICE}")
    folder, storages = pickles[0].removesuffix(".pkl"), {}

    def storage(reference: Any) -> Tensor:
        match reference:
            case ("storage", torch.dtype() as dtype, str() as key, *_):
                if key not in storages:
                    data = bytearray(archive.read(f"{folder}/{key}"))
                    storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
                return storages[key]
        raise ValueError(f"{origin} refers to unknown data {reference!r}; {_ADVICE}")

    return safe_pickle.loads(archive.read(pickles[0]), _script_names(origin), origin, outside=storage)


def _script_names(origin: str) -> _TorchScriptNames:
    """The allow-list of a TorchScript archive's data.pkl."""
    lists = {f"torch.jit._pickle.build_{kind}list": list for kind in ("int", "double", "bool", "tensor")}
    return _TorchScriptNames(
        lists
        | {f"torch.{name}": dtype for name, dtype in _DTYPES.items()}
        | {
            "torch._utils._rebuild_tensor_v2": _rebuild(origin, lambda storage: storage),
            "torch.jit._pickle.restore_type_tag": lambda value, tag: value,
            "collections.OrderedDict": dict,
        }
    )


def is_torchscript(path: str | Path) -> bool:
    """True for an archive that carries code, as `torch.jit.save` writes it."""
    if not zipfile.is_zipfile(require_file(path)):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.count("/") == 1 and name.endswith("/constants.pkl") for name in archive.namelist())
