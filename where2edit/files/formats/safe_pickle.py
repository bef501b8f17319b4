"""Read a foreign pickle through an allow-list: a name that is not on it is refused before anything of it runs.

Formats that exist only as pickles (old NumPy checkpoints, NVIDIA's networks) are read here.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_DAMAGE = (pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError, ArithmeticError, MemoryError)


def _latin1(text: str, encoding: str) -> bytes:
    """What stands for `_codecs.encode`: protocols 0 to 2 write bytes as latin1 text."""
    if encoding != "latin1":
        raise ValueError(f"a pickle encodes bytes as '{encoding}'; only latin1 is read")
    return text.encode("latin1")


def numpy_names() -> dict[str, Any]:
    """The allow-list of a pickle that holds NumPy arrays: what NumPy 1 and 2 write for arrays, scalars and dtypes."""
    multiarray = np.zeros(0).__reduce__()[0]
    scalar = np.float32(0).__reduce__()[0]
    buffer = np.zeros(0).__reduce_ex__(5)[0]
    names: dict[str, Any] = {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype, "_codecs.encode": _latin1}
    for core in ("numpy.core", "numpy._core"):
        names |= {f"{core}.multiarray._reconstruct": multiarray, f"{core}.multiarray.scalar": scalar}
        names[f"{core}.numeric._frombuffer"] = buffer
    return names | {"collections.OrderedDict": collections.OrderedDict}


class _Reader(pickle.Unpickler):
    """An unpickler that never imports: every global name is looked up in `allowed`."""

    def __init__(
        self,
        file: io.BufferedIOBase,
        allowed: Mapping[str, Any],
        origin: str,
        encoding: str,
        outside: Callable[[Any], Any] | None,
    ):
        super().__init__(file, encoding=encoding)
        self.allowed, self.origin, self.outside = allowed, origin, outside

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in self.allowed:
            raise ValueError(
                f"{self.origin} asks for '{module}.{name}', which is not among the {len(self.allowed)} names that may "
                "be read; nothing of it was run. Get the file from its official source and check its sha256"
            )
        return self.allowed[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> Any:
        if self.outside is not None:
            return self.outside(pid)
        raise ValueError(f"{self.origin} refers to data outside the pickle ({pid!r}); such files are not read")


def loads(
    data: bytes,
    allowed: Mapping[str, Any] | None = None,
    origin: str = "pickle",
    encoding: str = "latin1",
    outside: Callable[[Any], Any] | None = None,
) -> Any:
    """The object in `data`, as `load` reads it; `origin` is what errors call it.

    `outside` gives the data beside the pickle to which it refers; None refuses such references.
    """
    names = numpy_names() if allowed is None else allowed
    try:
        return _Reader(io.BytesIO(data), names, origin, encoding, outside).load()
    except ValueError:
        raise
    except _DAMAGE as error:
        raise ValueError(f"{origin} is not a readable pickle ({type(error).__name__}: {error})") from None


def load(path: str | Path, allowed: Mapping[str, Any] | None = None, encoding: str = "latin1") -> Any:
    """The object pickled at `path`, built only from names in `allowed`: {"module.name": what stands for it}.

    None allows NumPy arrays in plain containers. A value of `allowed` may be a stand-in for a class that is not
    installed. `encoding` is how the strings of Python 2 are read. Raises ValueError naming the first forbidden name.
    """
    return loads(Path(path).read_bytes(), allowed, str(path), encoding)
