"""The manifest, pretrained_models/manifest.yaml: file, size, sha256, licence, sources and format of every asset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from where2edit.core.config import build, read_yaml
from where2edit.core.registry import nearest


class AssetError(ValueError):
    """A weight that cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Archive:
    """An archive that the package registry carries; its key in the manifest is the project's name."""

    file: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Origin:
    """One place to get a weight from: an address, a member of a registry archive, or a path in this repository."""

    url: str | None = None
    page: str | None = None  # where a person finds the file
    archive: str | None = None
    member: str | None = None
    path: str | None = None

    @property
    def label(self) -> str:
        """The kind of place, for tables and errors."""
        kinds = {"official address": self.url, "registry": self.archive, "repository": self.path}
        return next((kind for kind, given in kinds.items() if given), "by hand")


@dataclass(frozen=True)
class Asset:
    """One asset: what the manifest says about one file of weights."""

    what: str
    file: str  # name below the cache's weights folder, and below a folder of the user's own
    size: int  # bytes; approximate when sha256 is None
    sha256: str | None
    licence: str
    used_by: str
    sources: tuple[Origin, ...]
    profiles: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()  # official formats (files/formats) that turn it into safetensors; (): used as it is


@dataclass(frozen=True)
class Manifest:
    """The whole manifest: archives by project, assets by name."""

    archives: dict[str, Archive]
    assets: dict[str, Asset]


def shipped(relative: str) -> Path:
    """A file that comes with the project, in a checkout or in the installed package; it need not exist."""
    here = Path(__file__).resolve().parents[1]
    checkout = here.parent / relative
    return checkout if checkout.exists() else here / relative


def found(path: str | Path) -> Path:
    """The file that a config or a command line names: as it stands, or else the one that comes with the project.

    Where there is neither, the path as it stands.
    """
    path, ours = Path(path), shipped(str(path))
    return ours if ours.is_file() and not path.is_file() else path


def manifest_path() -> Path:
    """Where the manifest lies."""
    return shipped("pretrained_models/manifest.yaml")


def manifest() -> Manifest:
    """The manifest, checked. Raises ValueError for one that contradicts itself."""
    return _read(manifest_path())


@lru_cache(maxsize=4)
def _read(path: Path) -> Manifest:
    """The manifest at `path`, checked once."""
    read = build(Manifest, read_yaml(path), "manifest")
    for name, asset in read.assets.items():
        for source in asset.sources:
            if source.archive and source.archive not in read.archives:
                known = nearest(source.archive, read.archives)
                raise ValueError(f"asset '{name}' names the unknown archive '{source.archive}'; {known}")
            if bool(source.archive) != bool(source.member):
                raise ValueError(f"asset '{name}' must give archive and member together, got {source}")
        if Path(asset.file).is_absolute() or ".." in Path(asset.file).parts:
            raise ValueError(f"asset '{name}' has file '{asset.file}'; it must stay below the cache folder")
    return read


def entries() -> dict[str, Asset]:
    """Every weight that the manifest knows, by name."""
    return dict(manifest().assets)


def entry(name: str) -> Asset:
    """What the manifest says about `name`. Raises AssetError (a ValueError) with the nearest known name."""
    known = entries()
    if name not in known:
        raise AssetError(f"unknown asset '{name}'; {nearest(name, known)}")
    return known[name]


def profile_assets(profile: str) -> list[str]:
    """Names of the weights that a profile uses ('mobile', 'ffhq', 'mobile_clip', 'toy'); ValueError for another."""
    known = {name for entry in entries().values() for name in entry.profiles} | {"toy"}
    if profile not in known:
        raise ValueError(f"no profile '{profile}' in the manifest; {nearest(profile, known)}")
    return [name for name, entry in entries().items() if profile in entry.profiles]


def format_assets(kind: str) -> list[str]:
    """Names of the weights that come in an official format, in the order of the manifest."""
    return [name for name, entry in entries().items() if kind in entry.formats]
