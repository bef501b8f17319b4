"""Official weight formats in, safetensors out; nothing in a foreign file is ever run.

Each kind has a table that must consume every tensor of the file (see `formats.table`). `convert` is what
scripts/convert.py calls, `load` what the networks call: it takes our safetensors as well as the official file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from where2edit.core.registry import nearest
from where2edit.files import assets, tensorfile
from where2edit.files.downloads import sha256
from where2edit.files.formats import clip, facenet, ir_se50, stylegan2, where2edit_released


@dataclass(frozen=True)
class Format:
    """One official format: what it becomes, how it is read, and the asset that has it."""

    network: str  # format=where2edit.<network> in the safetensors
    convert: Callable[[str | Path], tuple[dict[str, Tensor], dict[str, str]]]  # path -> tensors, sizes
    asset: str


FORMATS = {
    "stylegan2-rosinality": Format("stylegan2", stylegan2.convert_rosinality, "stylegan2-ffhq"),
    "stylegan2-nvidia": Format("stylegan2", stylegan2.convert_nvidia, "stylegan2-ffhq-nvidia"),
    "e4e": Format("e4e", ir_se50.convert_e4e, "e4e-ffhq"),
    "arcface-ir-se50": Format("arcface-ir-se50", ir_se50.convert_arcface, "arcface-ir-se50"),
    "facenet": Format("facenet", facenet.convert, "facenet-vggface2"),
    "clip": Format("clip", clip.convert, "clip-vit-b32"),
    "where2edit": Format("editor", where2edit_released.convert_editor, "where2edit-released"),
    "where2edit-regions": Format("regions", where2edit_released.convert_regions, "where2edit-released"),
}


def get(kind: str) -> Format:
    """The format of that name. Raises ValueError with the nearest one."""
    if kind not in FORMATS:
        raise ValueError(f"unknown format '{kind}'; {nearest(kind, FORMATS)}")
    return FORMATS[kind]


def convert(kind: str, source: str | Path, target: str | Path) -> Path:
    """Write the official file `source` as safetensors `target`, with its sha256, sizes and licence in the metadata.

    Raises ValueError naming the tensor that is missing, not known or of another shape, or what was refused unread.
    """
    if Path(target).suffix != ".safetensors":
        raise ValueError(f"the output is called {target}; give a name that ends in .safetensors")
    tensors, sizes = get(kind).convert(source)
    return tensorfile.write(target, tensors, get(kind).network, _metadata(kind, source, sizes))


def load(kind: str, path: str | Path | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of one kind, from our safetensors or the official file; None: from the asset."""
    path = Path(path) if path is not None else converted(kind)
    if path.suffix == ".safetensors":
        return tensorfile.read(path, get(kind).network)
    tensors, sizes = get(kind).convert(path)
    return tensors, _metadata(kind, path, sizes)


def converted(kind: str) -> Path:
    """The asset of that kind as safetensors in the cache folder; fetched and converted on first use."""
    source = assets.fetch(get(kind).asset)
    path = assets.cache_folder() / "converted" / f"{get(kind).asset}-{kind}.safetensors"
    if not path.is_file() or path.stat().st_mtime_ns < source.stat().st_mtime_ns:
        convert(kind, source, path)
    return path


def located(weights: str | Path) -> Path:
    """The file of a weight named in a config: a path as it stands, an asset fetched and, if need be, converted once."""
    kind = next((kind for kind, item in FORMATS.items() if item.asset == weights), None)
    if kind is not None:
        return converted(kind)
    return assets.fetch(weights) if weights in assets.entries() else Path(weights)


def numbers(text: str) -> tuple[int, ...]:
    """Sizes as the metadata keeps them, "64 128" -> (64, 128)."""
    return tuple(int(number) for number in text.split())


def _metadata(kind: str, source: str | Path, sizes: dict[str, str]) -> dict[str, str]:
    licence = assets.entry(get(kind).asset).licence
    return {"kind": kind, "source_sha256": sha256(Path(source)), "licence": licence, **sizes}
