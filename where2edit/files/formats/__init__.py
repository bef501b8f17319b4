"""Official weight formats in, safetensors out; nothing in a foreign file is ever run.

Each format has a table that must consume every tensor of the file (see `formats.table`). `convert` is what
scripts/convert.py calls. `load` is what the networks call: it takes our safetensors as well as the official file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from where2edit.core.registry import nearest
from where2edit.files import assets, manifest, tensorfile
from where2edit.files.fingerprints import file_sha256
from where2edit.files.formats import clip, facenet, ir_se50, stylegan2, where2edit_released
from where2edit.files.regular import shown

LARGEST_SIZE = 1024  # of a network's width that metadata gives


@dataclass(frozen=True)
class Format:
    """One official format: what it becomes and how it is read; the manifest says which weights come in it."""

    network: str  # format=where2edit.<network> in the safetensors
    convert: Callable[[str | Path], tuple[dict[str, Tensor], dict[str, str]]]  # path -> tensors, metadata of sizes


FORMATS = {
    "stylegan2-rosinality": Format("stylegan2", stylegan2.convert_rosinality),
    "stylegan2-nvidia": Format("stylegan2", stylegan2.convert_nvidia),
    "e4e": Format("e4e", ir_se50.convert_e4e),
    "arcface-ir-se50": Format("arcface-ir-se50", ir_se50.convert_arcface),
    "facenet": Format("facenet", facenet.convert),
    "clip": Format("clip", clip.convert),
    "where2edit": Format("editor", where2edit_released.convert_editor),
    "where2edit-regions": Format("regions", where2edit_released.convert_regions),
}


def get(kind: str) -> Format:
    """The format of that name. Raises ValueError with the nearest one."""
    if kind not in FORMATS:
        raise ValueError(f"unknown format '{kind}'; {nearest(kind, FORMATS)}")
    return FORMATS[kind]


def convert(kind: str, source: str | Path, target: str | Path, asset: str | None = None) -> Path:
    """Write the official file `source` as safetensors `target`, with its sha256, sizes and licence in the metadata.

    `asset`: its name in the manifest, which gives the licence; None: the manifest's first weight of that format. Raises
    ValueError naming the tensor that is missing, not known or of another shape, or what was refused unread, and for a
    target that is the source.
    """
    source, target = Path(source), Path(target)
    if target.suffix != ".safetensors":
        raise ValueError(f"the output is called {shown(target)}; give a name that ends in .safetensors")
    if target.exists() and source.exists() and target.samefile(source):
        raise ValueError(f"{shown(target)} is both the official file and the output; give the output another name")
    tensors, sizes = get(kind).convert(source)
    return tensorfile.write(target, tensors, get(kind).network, _metadata(kind, source, sizes, asset))


def load(kind: str, path: str | Path | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of one format, from our safetensors or the official file at `path`.

    None: from the manifest's first asset of that format. Raises ValueError as `convert` does, AssetError for an asset
    that cannot be had.
    """
    path = Path(path) if path is not None else converted(kind, manifest.format_assets(kind)[0])
    if path.suffix == ".safetensors":
        return tensorfile.read(path, get(kind).network)
    tensors, sizes = get(kind).convert(path)
    return tensors, _metadata(kind, path, sizes)


def converted(kind: str, asset: str) -> Path:
    """An asset of that format as safetensors in the cache folder; fetched and converted on first use.

    It is converted again when the official file is newer, or when the converted one is damaged or from before checksums
    were kept.
    """
    source = assets.fetch(asset)
    path = assets.cache_folder() / "converted" / f"{asset}-{kind}.safetensors"
    if not tensorfile.intact(path, get(kind).network) or path.stat().st_mtime_ns < source.stat().st_mtime_ns:
        convert(kind, source, path, asset)
    return path


def located(weights: str | Path) -> Path:
    """The file of weights that a config names: a path as it stands, or an asset, fetched and converted where necessary.

    An asset that comes in two formats is converted by the first that its entry in the manifest names.
    """
    if weights not in manifest.entries():
        return Path(weights)
    kinds = manifest.entry(str(weights)).formats
    return converted(kinds[0], str(weights)) if kinds else assets.fetch(str(weights))


def numbers(metadata: dict[str, str], key: str, path: str | Path) -> tuple[int, ...]:
    """Sizes as the metadata of the file `path` keeps them under `key`, "64 128" -> (64, 128).

    Raises ValueError for anything but a few numbers from 1 to LARGEST_SIZE.
    """
    words = metadata.get(key, "").split()
    if not 1 <= len(words) <= 8 or not all(w.isdecimal() and len(w) < 6 and 0 < int(w) <= LARGEST_SIZE for w in words):
        allowed = f"expected up to 8 numbers from 1 to {LARGEST_SIZE}; convert it again"
        raise ValueError(f"{shown(path)} says {key}={shown(metadata.get(key, 'nothing'))}, {allowed}")
    return tuple(map(int, words))


def _metadata(kind: str, source: str | Path, sizes: dict[str, str], asset: str | None = None) -> dict[str, str]:
    """What the safetensors say about themselves; the licence is that of the asset (None: the format's first)."""
    licence = manifest.entry(asset or manifest.format_assets(kind)[0]).licence
    return {"kind": kind, "source_sha256": file_sha256(source), "licence": licence, **sizes}
