"""Foreign weight files read as data: nothing in them runs, whether pickle, TorchScript or Python source.

All of them go through the walk of `safe_pickle`, with makers of tensors and arrays, and stand-ins for foreign classes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from where2edit.files.formats import safe_pickle
from where2edit.files.formats.pickled_arrays import dictionary
from where2edit.files.formats.pickled_tensors import tensor_makers
from where2edit.files.formats.pickled_values import Budget, Record, Refused
from where2edit.files.formats.safe_pickle import ADVICE, Makers
from where2edit.files.formats.table import network
from where2edit.files.formats.torch_files import MOST_BYTES, read_archive, read_pickles, read_torch
from where2edit.files.formats.zip_archives import is_zip, open_zip
from where2edit.files.regular import regular_file, shown

OFFICIAL = "give the official file, as scripts/download.py fetches it"
COMPILED = "__torch__."  # begins the names of the classes that a TorchScript archive defines


def require_file(path: str | Path) -> Path:
    """`path`, or ValueError where there is no file."""
    return regular_file(path, "file", MOST_BYTES, OFFICIAL)


def read_checkpoint(path: str | Path) -> Any:
    """What `torch.save` wrote: tensors in plain containers, options as dictionaries; ValueError for anything else."""
    return read_torch(require_file(path))


def read_network(path: str | Path, names: Iterable[str] = (), dropped: Iterable[str] = ()) -> dict[str, Any]:
    """The state dict in a file that `torch.save` wrote, in whatever wrapping: see `table.network`."""
    return network(read_checkpoint(path), str(path), names, dropped)


def read_nvidia_pickle(path: str | Path) -> Mapping[str, Any]:
    """The pickle of stylegan2-ada-pytorch or stylegan3: {"G_ema": Record, ...}; the source code in it is ignored."""
    tree = safe_pickle.load(require_file(path), _nvidia_makers(str(path)))
    if not isinstance(tree, Mapping):
        raise ValueError(
            f"{shown(path)} holds a {type(tree).__name__}, expected NVIDIA's mapping of networks; {ADVICE}"
        )
    return tree


def _nvidia_makers(origin: str) -> Makers:
    """What NVIDIA's pickles name: networks with their source code, and each storage as a file of torch in itself."""

    def network(meta: Any) -> Record:
        if not isinstance(meta, dict) or not isinstance(meta.get("state"), dict):
            raise Refused("it holds a network that is described in a way that is not known")
        return Record(str(meta.get("class_name")), meta["state"])

    inside, makers = Budget(MOST_BYTES), tensor_makers()  # one budget for all storages

    def storage(data: Any) -> Any:
        return read_pickles(io.BytesIO(data), makers, origin, inside)

    return makers | {
        "torch_utils.persistence._reconstruct_persistent_obj": network,
        "dnnlib.util.EasyDict": dictionary,
        "torch.storage._load_from_bytes": storage,
    }


class _ScriptMakers(dict):
    """The makers of a TorchScript archive: every class that the archive itself defines becomes a Record."""

    def __contains__(self, name: object) -> bool:
        return str(name).startswith(COMPILED) or super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return Record if name.startswith(COMPILED) else super().get(name, default)


def read_torchscript(path: str | Path) -> dict[str, Tensor]:
    """The state dict of a TorchScript archive; its code is neither loaded nor run."""
    path = require_file(path)
    lists = {f"torch.jit._pickle.build_{kind}list": list for kind in ("int", "double", "bool", "tensor")}
    tag = {"torch.jit._pickle.restore_type_tag": lambda value, tag: value}
    return module_tensors(read_archive(path, _ScriptMakers(tensor_makers() | lists | tag)), path)


def module_tensors(module: Any, path: str | Path) -> dict[str, Tensor]:
    """The state dict of a module that was read as a Record. Raises ValueError for anything else."""
    if not isinstance(module, Record):
        raise ValueError(f"{shown(path)} holds a {type(module).__name__}, expected a module; {ADVICE}")
    try:
        return module.tensors()
    except Refused as error:
        raise ValueError(f"{shown(path)} is not read: {error}; {ADVICE}") from None


def is_torchscript(path: str | Path) -> bool:
    """True for an archive that carries code, as `torch.jit.save` writes it."""
    if not is_zip(require_file(path)):
        return False
    with open_zip(Path(path)) as archive:
        return any(name.count("/") == 1 and name.endswith("/constants.pkl") for name in archive.namelist())
